// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "processors.hpp"
#include "slice.hpp"
#include "stopwatch.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

namespace ringbell::bench {

/// A connection between two processes, of one kind, that is measured. Made before the fork, so each
/// process has its own: the measuring one (the parent) calls `connect`, `ping` and `send`, the
/// answering one (the child) `listen`, `accept`, `answer` and `receive`. One call runs a whole
/// slice, so that what is virtual here costs a message nothing.
///
/// Errors: exceptions, which end this contender's part in the case. The answering side's object is
/// never destroyed, unless that is a program of its own.
class link {
public:
  link() = default;
  link(const link&) = delete;
  link& operator=(const link&) = delete;
  virtual ~link() = default;

  /// The descriptors, made before the fork, that the child keeps; every other one is closed there.
  virtual std::vector<int> descriptors() const { return {}; }
  /// The child: after it the parent may connect.
  virtual void listen() {}
  virtual void accept() {}
  virtual void connect() {}

  /// Round trips, seen from the parent.
  virtual void ping(const slice& s, times& t) = 0;
  /// Sends back each message of a slice of round trips: the child's part.
  virtual void answer(const slice& s) = 0;
  /// Messages one way, until the child has said that it has all. A batch is what the sender needs
  /// for it.
  virtual void send(const slice& s, times& t) = 0;
  virtual void receive(const slice& s) = 0;

  /// Since the link was made, on this side.
  virtual wake_counts wakes() const { return {}; }
};

/// What a link may need to know to be made.
struct link_options {
  std::uint64_t size = 64;  ///< of the largest message, in bytes
  std::string path;         ///< a name in the file system that nothing has, in a folder of ours
  placement where = placement::two;
  bool answering = false;  ///< in the answering process, where that is a program of its own
};

/// A kind of link.
struct contender {
  enum class role : std::uint8_t { reference, ringbell, peer };
  /// In lower case, such as `native/io_uring/adaptive`.
  std::string id;
  /// For people.
  std::string title;
  role what = role::reference;
  /// Whether it polls without end, and so needs a processor for each side.
  bool spins = false;
  /// How many of them take turns where places in memory matter; 0: as many as usual.
  std::size_t links = 0;
  /// Whether the name in the file system must stay as long as the link.
  bool needs_name = false;
  /// Whether it takes many more messages than a ring holds, and sends them later: then how fast it
  /// takes them says nothing.
  bool queues_much = false;
  /// Whether its library does not survive a fork: the answering process is this program, started
  /// anew.
  bool answers_in_new_program = false;
  std::function<std::unique_ptr<link>(const link_options&)> make;
};

}  // namespace ringbell::bench
