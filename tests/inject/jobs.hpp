// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <chrono>
#include <coroutine>
#include <exception>
#include <stdexcept>
#include <system_error>
#include <type_traits>
#include <utility>
#include <variant>

#include "support/asio.hpp"
#include "support/patience.hpp"

// Coroutines of the tests' own that begin Asio's operations with plain completion handlers. Asio's
// coroutines do not survive that an initiation throws, nor that there is no memory for their end:
// `await_suspend` is noexcept there, and so are destructors that post.
namespace ringbell::test {

/// A coroutine that begins at once, and belongs to whatever it waits for: it is destroyed with the
/// handler of that. It catches what it throws.
struct job {
  struct promise_type {
    job get_return_object() noexcept { return {}; }
    std::suspend_never initial_suspend() const noexcept { return {}; }
    std::suspend_never final_suspend() const noexcept { return {}; }
    void return_void() const noexcept {}
    void unhandled_exception() { throw; }
  };
};

/// What to await for an operation that `begin(handler)` begins. Gives the value, or throws the
/// error.
template <class Value, class Begin>
class begun {
public:
  explicit begun(Begin begin) : begin_(std::move(begin)) {}
  begun(const begun&) = delete;
  begun& operator=(const begun&) = delete;

  bool await_ready() const noexcept { return false; }
  bool await_suspend(std::coroutine_handle<> h) {
    waiting_ = h;
    beginning_ = true;
    begin_(handler(*this));
    beginning_ = false;
    // The handler may have been called within the initiation.
    return !called_ && !dropped_;
  }
  Value await_resume() {
    if (dropped_) throw std::logic_error("an operation that forgot its handler");
    if (error_) throw std::system_error(std_error(error_));
    if constexpr (!std::is_void_v<Value>) return std::move(value_);
  }

private:
  class handler {
  public:
    explicit handler(begun& of) noexcept : of_(&of) {}
    handler(handler&& other) noexcept : of_(std::exchange(other.of_, nullptr)) {}
    handler& operator=(handler&&) = delete;
    ~handler() {
      if (of_) std::exchange(of_, nullptr)->drop();
    }
    template <class... Values>
    void operator()(const net_error_code& error, Values&&... values) {
      begun& of = *std::exchange(of_, nullptr);
      of.error_ = error;
      if constexpr (sizeof...(Values) != 0) ((of.value_ = std::forward<Values>(values)), ...);
      of.called_ = true;
      if (!of.beginning_) of.waiting_.resume();
    }

  private:
    begun* of_;
  };

  void drop() noexcept {
    if (beginning_)
      dropped_ = true;
    else
      waiting_.destroy();
  }

  Begin begin_;
  std::coroutine_handle<> waiting_;
  net_error_code error_;
  [[no_unique_address]] std::conditional_t<std::is_void_v<Value>, std::monostate, Value> value_{};
  bool beginning_ = false;
  bool called_ = false;
  bool dropped_ = false;
};
template <class Value = void, class Begin>
begun<Value, Begin> begin(Begin f) {
  return begun<Value, Begin>(std::move(f));
}

/// A context, and what has gone wrong on it.
class stage {
public:
  explicit stage(bool on_strand = false)
      : executor(on_strand ? net::any_io_executor(net::make_strand(context))
                           : net::any_io_executor(context.get_executor())) {}
  stage(const stage&) = delete;
  stage& operator=(const stage&) = delete;

  /// In a `catch`.
  void failed() noexcept { failed(std::current_exception()); }
  void failed(const std::exception_ptr& e) noexcept {
    if (!first_) first_ = e;
  }
  /// Runs the context until nothing is left to be done, and longer than an exception that a handler
  /// lets out. Throws what went wrong first.
  void run() {
    run_for(patience);
    if (!context.stopped()) throw std::system_error(errc::timed_out, "the context");
    rethrow();
  }
  /// How often something was thrown meanwhile.
  int run_for(std::chrono::nanoseconds limit) {
    const auto end = std::chrono::steady_clock::now() + limit;
    context.restart();
    for (int thrown = 0;; ++thrown) {
      try {
        context.run_until(end);
        return thrown;
      } catch (...) {
        failed();
      }
    }
  }
  void rethrow() {
    if (first_) std::rethrow_exception(std::exchange(first_, nullptr));
  }

  net::io_context context;
  const net::any_io_executor executor;

private:
  std::exception_ptr first_;
};

}  // namespace ringbell::test
