// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/executors.hpp>
#include <ringbell/asio/detail/follow_up.hpp>
#include <ringbell/asio/detail/limited.hpp>
#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/asio/detail/operation_memory.hpp>
#include <ringbell/asio/error.hpp>
#include <ringbell/detail/access.hpp>

#include <exception>
#include <memory>
#include <optional>
#include <system_error>
#include <type_traits>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

// A handler with an immediate executor (Asio 1.27) may be called from within the initiating
// function.
#if RINGBELL_ASIO_VERSION >= 102700
template <class Handler, class Executor>
concept has_immediate_executor = !requires {
  typename net::associated_immediate_executor<
      Handler, Executor>::asio_associated_immediate_executor_is_unspecialised;
};
#endif

/// Gives the handler what the operation has taken.
struct as_taken {
  template <class Operation>
  static auto of(Operation& o) {
    return o.take();
  }
  /// What the handler gets when the operation itself could not be made.
  template <class Operation>
  static auto none() {
    return typename Operation::value_type();
  }
};

/// An operation with its handler, in memory from the handler's allocator. `Result` converts what
/// the operation has taken to what the handler gets beside the error.
template <class Operation, class Result, class Handler, class Executor>
class handled_operation final : public Operation {
public:
  using executor_type = typename net::associated_executor<Handler, Executor>::type;
  using allocator_type = typename net::associated_allocator<Handler>::type;

  template <class H, class... Arguments>
  static void begin(H&& handler, const Executor& executor, const Result& result,
                    Arguments&&... arguments) {
    Handler owned(std::forward<H>(handler));
    handled_operation* o = nullptr;
    net_error_code error;
    try {
      memory_for<handled_operation, allocator_type> memory(net::get_associated_allocator(owned));
      o = new (memory.get())
          handled_operation(owned, executor, result, std::forward<Arguments>(arguments)...);
      memory.release();
    } catch (...) {
      error = to_net(std::current_exception());
      if (!error) throw;
    }
    if (o) return o->start(executor);
    refuse(std::move(owned), error, result);
  }
  /// Calls the handler now, because there is no memory to call it later.
  static void refuse(Handler handler, net_error_code error, [[maybe_unused]] const Result& result) {
    if constexpr (std::is_void_v<typename Operation::value_type>)
      std::move(handler)(std::move(error));
    else
      std::move(handler)(std::move(error), result.template none<Operation>());
  }

  void destroy() noexcept override {
    const Handler handler(std::move(handler_));
    free(handler);
  }
  void defer() override {
    if constexpr (goes_anywhere<executor_type>) {
      if (!work_) return hop();
      const working<Executor> here = *work_;
      run_later(here, turn(*this, true), std::allocator<void>());
    } else if (!handler_frame::let_follow(*this, executor_)) {
      run_later(executor_, turn(*this), allocator());
    }
  }
  void dispatch() override {
    if constexpr (goes_anywhere<executor_type>) {
      if (!work_) return hop();
      const working<Executor> here = *work_;
      run_soon(here, turn(*this, true), std::allocator<void>());
    } else {
      run_soon(executor_, turn(*this), allocator());
    }
  }
  void hop() override {
    if constexpr (goes_anywhere<executor_type>) run_soon(executor_, turn(*this), allocator());
  }

private:
  /// Takes the handler last, when nothing can fail any more.
  template <class... Arguments>
  handled_operation(Handler& handler, const Executor& executor, const Result& result,
                    Arguments&&... arguments)
      : Operation(std::forward<Arguments>(arguments)...),
        executor_(net::get_associated_executor(handler, executor)),
        result_(result),
        work_(work_for(executor, executor_)),
        handler_(std::move(handler)) {}
  /// The context of the object has to go on running while this operation runs in another context.
  static std::optional<working<Executor>> work_for(const Executor& executor,
                                                   const executor_type& handlers) {
    if (is_empty(handlers))
      throw std::system_error(errc::closed);  // no executor could call the handler
    if (is_empty(executor)) return std::nullopt;
    if constexpr (!goes_anywhere<executor_type>)
      if (&context_of(handlers) == &context_of(executor)) return std::nullopt;
    return with_work(executor);
  }
  ~handled_operation() override = default;

  void start([[maybe_unused]] const Executor& executor) {
    std::unique_ptr<operation, destroys> self(this);
#if RINGBELL_ASIO_VERSION >= 102700
    if constexpr (has_immediate_executor<Handler, Executor>) {
      if (this->finished_at_once()) {
        (void)self.release();
        return complete_by(net::get_associated_immediate_executor(handler_, executor));
      }
    }
#endif
    this->connect(net::get_associated_cancellation_slot(handler_));
    operation* const o = self.release();
    if (!this->launch()) operation::run_by(o, &operation::defer);
  }

  void complete() override {
    this->disconnect(net::get_associated_cancellation_slot(handler_));
    if constexpr (goes_anywhere<executor_type>) {
      const handler_frame::handler here(*this);
      call_handler();
    } else {
      const executor_type executor(std::move(executor_));
      const handler_frame::handler here(*this, executor);
      call_handler();
    }
  }
  /// Calls the handler with what the operation has taken, or its error. An operation that has
  /// finished in its initiation stays so, even when its object is cancelled before this call.
  void call_handler() {
    std::unique_ptr<operation, destroys> self(this);
    this->rethrow();
    // The contexts keep running until the handler has returned.
    [[maybe_unused]] const auto work = std::move(work_);
    net_error_code outcome = this->outcome();
    if constexpr (std::is_void_v<typename Operation::value_type>) {
      this->end();
      Handler handler(std::move(handler_));
      (void)self.release();
      free(handler);
      std::move(handler)(std::move(outcome));
    } else {
      auto value = result_.of(static_cast<Operation&>(*this));
      this->end();
      Handler handler(std::move(handler_));
      (void)self.release();
      free(handler);
      std::move(handler)(std::move(outcome), std::move(value));
    }
  }

#if RINGBELL_ASIO_VERSION >= 102700
  /// Completes on the immediate executor, and from there on the handler's own executor if it has
  /// one.
  template <class Immediate>
  void complete_by(const Immediate& immediate) {
    net::dispatch(immediate, completion<Immediate>(*this, immediate));
  }
  template <class Immediate>
  class completion {
  public:
    using executor_type = typename net::associated_executor<Handler, Immediate>::type;
    using allocator_type = typename handled_operation::allocator_type;
    completion(handled_operation& o, const Immediate& immediate)
        : operation_(&o),
          executor_(net::get_associated_executor(o.handler_, immediate)),
          allocator_(o.allocator()) {}
    completion(completion&& other) noexcept
        : operation_(std::exchange(other.operation_, nullptr)),
          executor_(other.executor_),
          allocator_(other.allocator_) {}
    ~completion() {
      if (operation_) operation_->destroy();
    }
    executor_type get_executor() const noexcept { return executor_; }
    allocator_type get_allocator() const noexcept { return allocator_; }
    void operator()() { std::exchange(operation_, nullptr)->call_handler(); }

  private:
    handled_operation* operation_;
    executor_type executor_;
    allocator_type allocator_;
  };
#endif

  void keep_executor_busy(bool busy) override {
    if constexpr (!goes_anywhere<executor_type>) {
      if (busy)
        executors_work_.emplace(with_work(executor_));
      else
        executors_work_.reset();
    }
  }
  std::exception_ptr waits() override {
    if constexpr (is_limited<Operation>) {
      if constexpr (goes_anywhere<executor_type>)
        this->watch_time(*work_);
      else
        this->watch_time(executor_);
    }
    return nullptr;
  }
  void* allocate_elsewhere(std::size_t bytes) override {
    return handler_memory<allocator_type>::allocate(allocator(), bytes);
  }
  void deallocate_elsewhere(void* memory, std::size_t bytes) noexcept override {
    handler_memory<allocator_type>::free(allocator(), memory, bytes);
  }

  allocator_type allocator() const noexcept { return net::get_associated_allocator(handler_); }
  /// Takes the allocator from the place where the handler is now. A handler that was moved from may
  /// have lost its allocator, as an `any_completion_handler` has.
  void free(const Handler& handler) noexcept {
    const memory_for<handled_operation, allocator_type> memory(
        net::get_associated_allocator(handler), this);
    this->~handled_operation();
  }

  struct destroys {
    void operator()(operation* o) const noexcept { o->destroy(); }
  };

  executor_type executor_;
  [[no_unique_address]] Result result_;
  std::optional<working<Executor>> work_;
  Handler handler_;
  std::optional<std::conditional_t<goes_anywhere<executor_type>, char, working<executor_type>>>
      executors_work_;
};

/// Begins an operation on an I/O object. `async_initiate` calls it with the handler, now or, for a
/// deferred token, later.
template <class Operation, class Result, class Executor>
class initiate {
public:
  using executor_type = Executor;
  initiate(const Executor& executor, const Result& result) noexcept
      : executor_(executor), result_(result) {}
  executor_type get_executor() const noexcept { return executor_; }

  template <class Handler, class IoObject, class... Arguments>
  void operator()(Handler&& handler, IoObject* on, Arguments&&... arguments) const {
    handled_operation<Operation, Result, std::decay_t<Handler>, Executor>::begin(
        std::forward<Handler>(handler), executor_, result_, access::impl_of(*on),
        std::forward<Arguments>(arguments)...);
  }

private:
  Executor executor_;
  [[no_unique_address]] Result result_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
