// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/asio/error.hpp>
#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/awaitable.hpp>
#include <ringbell/coro/detail/ready.hpp>
#include <ringbell/coro/detail/wait_node.hpp>
#include <ringbell/errors.hpp>
#include <ringbell/loop/detail/loop_access.hpp>
#include <ringbell/loop/detail/posted_call.hpp>
#include <ringbell/loop/loop.hpp>

#include <atomic>
#include <coroutine>
#include <exception>
#include <memory>
#include <mutex>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

// `emit` is a macro of Qt, and the name of a member function of Asio.
#pragma push_macro("emit")
#undef emit

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// Throws an exception that left an Asio coroutine, in the form that native coroutines use.
/// `stopped` says that the coroutine was asked to end.
[[noreturn]] void throw_natively(const std::exception_ptr& e, bool stopped);

/// An Asio coroutine that a native one waits for. Shared by both sides, which may be different
/// threads, and may go in either order.
///
/// Neither its end nor its cancellation is lost for lack of memory: the loop is told of the end by
/// a call that needs none, and by the same call it tries a cancellation again for which the
/// executor had no memory.
template <class T, class Executor>
class asio_call final : public std::enable_shared_from_this<asio_call<T, Executor>>,
                        private posted_call {
public:
  asio_call(loop& lp, ready_node& waiter) noexcept : waiter_(&waiter), loop_(&lp) {}

  // -- the loop's thread --

  template <class CoroutineExecutor>
  void start(Executor executor, net::awaitable<T, CoroutineExecutor> coroutine);
  /// Asks the coroutine to end: at once, or in a later turn of the loop. No effect when it has.
  void cancel() noexcept {
    std::optional<Executor> executor;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      executor = executor_;
    }
    if (!executor) return;
    try {
      // Not under the lock: it may emit within this call.
      net::dispatch(*executor, [self = this->shared_from_this()] {
        self->emitted_ = true;
        self->signal_.emit(net::cancellation_type::terminal);
      });
    } catch (...) {
      if (emitted_) return;
      const std::lock_guard<std::mutex> lock(mutex_);
      cancel_again_ = true;
      tell_loop();
    }
  }
  /// The native coroutine does not wait any more.
  void detach() noexcept {
    waiter_ = nullptr;
    cancel();
    forget_loop();
  }
  T take(bool stopped) {
    if (abandoned_) throw std::system_error(errc::cancelled);
    if (error_) throw_natively(std::exchange(error_, nullptr), stopped);
    if constexpr (!std::is_void_v<T>) return std::move(*value_);
  }

  // -- the executor --

  template <class... Value>
  void ended(std::exception_ptr error, Value&&... value) noexcept {
    error_ = std::move(error);
    if constexpr (sizeof...(Value) != 0) {
      try {
        if (!error_) value_.emplace(std::forward<Value>(value)...);
      } catch (...) {
        error_ = std::current_exception();
      }
    }
    wake();
  }
  /// The coroutine was destroyed.
  void abandoned() noexcept {
    abandoned_ = true;
    wake();
  }

private:
  void wake() noexcept {
    // Neither may outlive the context.
    signal_.slot().clear();
    const std::lock_guard<std::mutex> lock(mutex_);
    executor_.reset();
    tell_loop();
  }
  /// Under the lock.
  void tell_loop() noexcept {
    if (!loop_ || told_) return;
    told_ = this->shared_from_this();
    loop_access::post(*loop_, *this);
  }
  void run() noexcept override {
    std::shared_ptr<asio_call> self;
    loop* lp;
    bool over, again;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      self = std::move(told_);
      lp = loop_;
      over = !executor_;
      again = std::exchange(cancel_again_, false);
    }
    if (over && waiter_) loop_access::schedule(*lp, *waiter_);
    if (!over && again) cancel();
    if (!waiter_) forget_loop();
  }
  /// While there is a call to come, the loop takes that along, or drops it.
  void forget_loop() noexcept {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (!told_) loop_ = nullptr;
  }
  void drop() noexcept override {
    std::shared_ptr<asio_call> self;
    bool again;
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      self = std::move(told_);
      loop_ = nullptr;
      again = std::exchange(cancel_again_, false);
    }
    if (again) cancel();  // the last try
  }

  ready_node* waiter_;  // used on the loop's thread
  std::mutex mutex_;
  loop* loop_;  // null once nothing waits; under the mutex, and written on the loop's thread
  std::optional<Executor> executor_;  // nothing once the coroutine has ended; under the mutex
  std::shared_ptr<asio_call> told_;   // this, while the loop has not yet looked; under the mutex
  bool cancel_again_ = false;         // under the mutex
  std::atomic<bool> emitted_ = false;
  net::cancellation_signal signal_;  // the executor's
  // Written on the executor, then read on the loop's thread.
  std::exception_ptr error_;
  bool abandoned_ = false;
  std::optional<typename stored<T>::type> value_;
};

/// The handler of `co_spawn`.
template <class T, class Executor>
class asio_call_end {
public:
  explicit asio_call_end(std::shared_ptr<asio_call<T, Executor>> call) noexcept
      : call_(std::move(call)) {}
  asio_call_end(asio_call_end&&) noexcept = default;
  asio_call_end& operator=(asio_call_end&&) = delete;
  ~asio_call_end() {
    if (call_) call_->abandoned();
  }
  template <class... Value>
  void operator()(std::exception_ptr error, Value&&... value) {
    std::exchange(call_, nullptr)->ended(std::move(error), std::forward<Value>(value)...);
  }

private:
  std::shared_ptr<asio_call<T, Executor>> call_;
};

template <class T, class Executor>
template <class CoroutineExecutor>
void asio_call<T, Executor>::start(Executor executor,
                                   net::awaitable<T, CoroutineExecutor> coroutine) {
  executor_ = executor;
  net::co_spawn(executor, std::move(coroutine),
                net::bind_cancellation_slot(signal_.slot(),
                                            asio_call_end<T, Executor>(this->shared_from_this())));
}

template <class T, class CoroutineExecutor, class Executor>
class asio_call_awaiter : private ready_node {
public:
  asio_call_awaiter(Executor executor, net::awaitable<T, CoroutineExecutor> coroutine)
      : executor_(std::move(executor)), coroutine_(std::move(coroutine)) {}
  asio_call_awaiter(const asio_call_awaiter&) = delete;
  asio_call_awaiter& operator=(const asio_call_awaiter&) = delete;
  ~asio_call_awaiter() {
    if (call_) call_->detach();
  }

  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    const coroutine_context context = coroutine_context_of(h);
    loop& lp = loop_access::loop_of(scheduler_of(context));
    stop_ = context.stop;
    if (stop_.stop_requested()) return false;
    ready_node& waiter = *this;
    waiter.waiting = h;
    call_ = std::make_shared<asio_call<T, Executor>>(lp, waiter);
    Executor executor = std::move(*executor_);
    executor_.reset();
    call_->start(std::move(executor), std::move(coroutine_));
    if (stop_.stop_possible()) on_stop_.emplace(stop_, cancel_call(*call_));
    loop_access::hand_over(lp);
    return true;
  }
  T await_resume() {
    on_stop_.reset();
    if (!call_) throw std::system_error(errc::cancelled);
    const auto call = std::exchange(call_, nullptr);
    return call->take(stop_.stop_requested());
  }

private:
  class cancel_call {
  public:
    explicit cancel_call(asio_call<T, Executor>& call) noexcept : call_(call) {}
    void operator()() noexcept { call_.cancel(); }

  private:
    asio_call<T, Executor>& call_;
  };

  std::optional<Executor> executor_;  // empty once started: the context may go before this does
  net::awaitable<T, CoroutineExecutor> coroutine_;
  inplace_stop_token stop_;
  std::shared_ptr<asio_call<T, Executor>> call_;
  std::optional<inplace_stop_callback<cancel_call>> on_stop_;  // last, so it goes before `call_`
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

#pragma pop_macro("emit")
