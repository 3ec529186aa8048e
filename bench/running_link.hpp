// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "link.hpp"
#include "shared_memory.hpp"
#include "worker_process.hpp"

#include <ringbell/sys/handle.hpp>

#include <atomic>
#include <cstdint>
#include <memory>

namespace ringbell::bench {

/// A link with the process at its other end, which sleeps between slices, and dies with this one.
class running_link {
public:
  /// Forks, and starts this program anew where the contender wants that. Only while this process
  /// has one thread, those of libraries aside.
  running_link(const contender& kind, const link_options& options);
  running_link(const running_link&) = delete;
  running_link& operator=(const running_link&) = delete;
  /// Gives the other process a moment to end in order, where that means something.
  ~running_link();
  /// Once every link of a case was forked. Throws what the link throws, and when the other process
  /// does not come up.
  void connect();
  /// Runs one slice at both ends: gives what both have used up. Throws when the other process has
  /// died; a slice that takes longer than a minute ends this process, and with it all others.
  usage run(const slice& s, times& t);

private:
  const contender& kind_;
  sys::handle memory_handle_;
  shared_memory memory_;
  std::atomic<std::uint64_t>& begun_;  // slices that the child has begun
  std::uint64_t slices_ = 0;
  std::unique_ptr<link> link_;
  std::unique_ptr<worker_process> peer_;
};

/// What this program is started anew for: the first argument says so, the others are for
/// `answer_in_new_program`.
inline constexpr const char* answer_argument = "--answer";
inline constexpr int answer_arguments = 6;
/// The answering process of a link whose library does not survive a fork. Does not return.
[[noreturn]] void answer_in_new_program(char** arguments);

}  // namespace ringbell::bench
