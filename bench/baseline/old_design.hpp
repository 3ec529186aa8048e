// SPDX-License-Identifier: BSL-1.0
// The design that ringbell's services are compared with: a thread for each connection that blocks
// in the kernel, an eventfd for each direction, rung for each message. It uses of ringbell only its
// handle and its socket that passes handles, to set a connection up.
#pragma once

#include "old_design_ring.hpp"

#include <ringbell/sys/local_socket.hpp>

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <functional>
#include <list>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

namespace ringbell::bench::old_design {

/// The stack of a connection's thread, without its guard page. It is reserved; what a thread has
/// touched of it takes memory.
inline constexpr std::size_t stack_bytes = std::size_t{128} * 1024;

/// How long the thread of a session waits.
struct session_timeouts {
  session_timeouts() {}
  /// The thread sleeps for so long before it looks whether its client still lives.
  std::chrono::milliseconds wait{5000};
  /// A client that asks nothing for so long is dropped.
  std::chrono::milliseconds idle{30000};
};

/// A connection, seen from the client. Every call blocks its thread.
/// Thread-safety: one thread at a time. Lifetime: destruction hangs up, and wakes the server's
/// thread to see it.
class client {
public:
  /// Connects to the server at `path`, within ten seconds. Throws `std::system_error`:
  /// `errc::no_server`, `errc::timed_out`, `errc::peer_closed` when the server had no room, else
  /// the system's.
  explicit client(const std::string& path);
  client(const client&) = delete;
  client& operator=(const client&) = delete;
  ~client();

  /// Sends a request of at most `longest_message` bytes and gives the reply, which is valid until
  /// the next call.
  /// Throws `std::system_error`: `errc::peer_closed` when the server has ended in order or dropped
  /// this client; `errc::message_too_large`. When the server is killed it never returns: nothing
  /// rings, and the thread sleeps in read(2).
  std::span<const std::byte> call(std::span<const std::byte> request) {
    send(request);
    return receive();
  }
  /// The two halves of `call`, for a thread that talks to several servers or connections at once.
  /// In turn: one request at a time.
  void send(std::span<const std::byte> request);
  std::span<const std::byte> receive();

private:
  struct invitation;
  explicit client(invitation&& from);

  sys::local_socket socket_;
  bell ours_;
  bell servers_;
  mapping area_;
  ring_writer requests_;
  ring_reader replies_;
  std::vector<std::byte> reply_;
};

/// Accepts clients on a path and gives each a thread, which answers its requests.
/// Thread-safety: `run` from one thread, the rest from any. Lifetime: it must not be destroyed
/// before `run` has returned.
class server {
public:
  /// Makes the reply to a request; it may be the request itself. Called in the client's thread;
  /// what it throws ends that client. The reply must stay valid until the next call for that
  /// client.
  using handler = std::function<std::span<const std::byte>(std::span<const std::byte> request)>;

  /// Clients can connect from now on, and are accepted by `run`. Throws `std::system_error`.
  server(const std::string& path, handler answer,
         const session_timeouts& timeouts = session_timeouts());
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server();

  /// Serves until `stop`; then gives up the path, hangs up on all clients and joins their threads.
  /// Once.
  void run();
  void stop() noexcept;

  /// How many clients there are, each with a thread.
  std::size_t sessions() const;
  /// Waits until there are `wanted`; false when they still were not after `most`.
  bool wait_for_sessions(std::size_t wanted, std::chrono::milliseconds most) const;

private:
  class session;

  void accept_all();
  void start(sys::local_socket from);
  void join_ended();
  void end_all();

  handler answer_;
  session_timeouts timeouts_;
  sys::local_listener listener_;
  bell attention_;  // rung by stop() and by threads that end
  mutable std::mutex mutex_;
  mutable std::condition_variable changed_;
  std::list<std::unique_ptr<session>> sessions_;  // under the mutex; changed by run() alone
  std::vector<session*> ended_;                   // under the mutex
  bool stopping_ = false;                         // under the mutex
};

}  // namespace ringbell::bench::old_design
