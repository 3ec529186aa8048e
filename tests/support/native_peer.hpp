// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/connect.hpp>
#include <ringbell/loop/loop.hpp>

#include <exception>
#include <string>
#include <thread>
#include <utility>

namespace ringbell::test {

/// A client on a loop of its own, in a thread of its own: connects to `path`, and runs `body(loop&,
/// channel)`.
class native_peer {
public:
  template <class F>
  native_peer(std::string path, const connect_options& options, F body)
      : thread_([this, path = std::move(path), options, body = std::move(body)]() mutable {
          try {
            loop_.run(be_client(loop_, std::move(path), options, body));
          } catch (...) {
            failed_ = std::current_exception();
          }
        }) {}
  native_peer(const native_peer&) = delete;
  native_peer& operator=(const native_peer&) = delete;
  ~native_peer() {
    if (thread_.joinable()) thread_.join();
  }
  /// Waits for its end. Throws what it threw.
  void join() {
    thread_.join();
    if (failed_) std::rethrow_exception(failed_);
  }

private:
  template <class F>
  static task<void> be_client(loop& lp, std::string path, connect_options options, F& body) {
    channel ch = co_await connect(lp, std::move(path), options);
    co_await body(lp, std::move(ch));
  }

  // Made by the thread that makes this object: liburing unmaps the memory of its trial ring unseen
  // by ThreadSanitizer, which would take another thread's ring at the same address for the same
  // memory.
  loop loop_;
  std::exception_ptr failed_;
  std::thread thread_;
};

}  // namespace ringbell::test
