// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/loop/loop.hpp>

#include <memory>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

class loop_context;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

namespace ringbell::inline RINGBELL_ASIO_ABI {

/// A native loop as an Asio executor: functions are executed on the loop's thread. `co_spawn`,
/// strands, `asio::awaitable`, timers and channels run on it, beside the loop's own tasks.
///
/// A thread that Asio starts waits for its timers, sockets and parked channels, because a foreign
/// loop cannot drive Asio's reactor. The thread starts with the first of these waits; they complete
/// on the loop's thread. Where that costs too much, use the loop's own awaitables, or an io_context
/// that drives the loop (`run_in`).
///
/// Thread-safety: any thread.
/// Lifetime: the loop must outlive the executor, its copies, and everything that uses them. The
/// loop's destructor destroys what is pending on it.
class asio_executor {
public:
  explicit asio_executor(loop& lp);
  asio_executor(const asio_executor& other) noexcept
      : asio_executor(other, other.tracked_, other.never_blocks_) {}
  /// Takes over the tracked work, because Asio's work guards do not destroy an executor that they
  /// have moved from.
  asio_executor(asio_executor&& other) noexcept
      : loop_(other.loop_),
        context_(other.context_),
        tracked_(std::exchange(other.tracked_, false)),
        never_blocks_(other.never_blocks_) {}
  asio_executor& operator=(const asio_executor& other) noexcept {
    asio_executor copy(other);
    std::swap(loop_, copy.loop_);
    std::swap(context_, copy.context_);
    std::swap(tracked_, copy.tracked_);
    std::swap(never_blocks_, copy.never_blocks_);
    return *this;
  }
  ~asio_executor() {
    if (tracked_) work_finished();
  }
  friend bool operator==(const asio_executor& a, const asio_executor& b) noexcept {
    return a.loop_ == b.loop_ && a.never_blocks_ == b.never_blocks_ && a.tracked_ == b.tracked_;
  }

  /// Calls `f` on the loop's thread: at once if this is that thread and blocking is possible, else
  /// as `loop::post` does.
  template <class Function>
  void execute(Function&& f) const {
    if (!never_blocks_ && loop::current() == loop_) {
      std::decay_t<Function> local(std::forward<Function>(f));
      std::move(local)();
    } else {
      // std::function needs a copyable function; those that Asio executes often can only be moved.
      loop_->post([shared = std::make_shared<std::decay_t<Function>>(std::forward<Function>(f))] {
        std::move (*shared)();
      });
    }
  }

  /// Asio reads and sets the executor's properties by `query` and `require`.
  net::execution_context& query(net::execution::context_t) const noexcept;
  net::execution::blocking_t query(net::execution::blocking_t) const noexcept {
    return never_blocks_ ? net::execution::blocking_t(net::execution::blocking.never)
                         : net::execution::blocking_t(net::execution::blocking.possibly);
  }
  asio_executor require(net::execution::blocking_t::possibly_t) const noexcept {
    return asio_executor(*this, tracked_, false);
  }
  asio_executor require(net::execution::blocking_t::never_t) const noexcept {
    return asio_executor(*this, tracked_, true);
  }
  /// A copy with tracked work keeps `loop::run_until_idle` from returning.
  asio_executor require(net::execution::outstanding_work_t::tracked_t) const noexcept {
    return asio_executor(*this, true, never_blocks_);
  }
  asio_executor require(net::execution::outstanding_work_t::untracked_t) const noexcept {
    return asio_executor(*this, false, never_blocks_);
  }

private:
  asio_executor(const asio_executor& other, bool tracked, bool never_blocks) noexcept
      : loop_(other.loop_),
        context_(other.context_),
        tracked_(tracked),
        never_blocks_(never_blocks) {
    if (tracked_) work_started();
  }

  void work_started() const noexcept;
  void work_finished() const noexcept;

  loop* loop_;
  detail::loop_context* context_;
  bool tracked_ = false;
  bool never_blocks_ = false;
};

}  // namespace ringbell::inline RINGBELL_ASIO_ABI
