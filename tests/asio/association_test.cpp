// SPDX-License-Identifier: BSL-1.0
// What a handler brings along: its executor, its allocator, its cancellation slot.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <atomic>
#include <cstddef>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "support/allocations.hpp"
#include "support/applies.hpp"
#include "support/asio.hpp"
#include "support/asio_operations.hpp"

TEST_SUITE("asio association") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

/// What an executor of the test's own has to do: somebody else's queue, which runs when the test
/// says so.
class hand_run_queue {
public:
  class executor {
  public:
    explicit executor(hand_run_queue& queue) noexcept : queue_(&queue) {}
    net::execution_context& query(net::execution::context_t) const noexcept {
      return queue_->context_;
    }
    net::execution::blocking_t query(net::execution::blocking_t) const noexcept {
      return net::execution::blocking.never;
    }
    executor require(net::execution::blocking_t::never_t) const noexcept { return *this; }
    template <class F>
    void execute(F f) const {
      queue_->waiting_.push_back(std::make_unique<job<F>>(std::move(f)));
    }
    bool operator==(const executor&) const noexcept = default;

  private:
    hand_run_queue* queue_;
  };

  explicit hand_run_queue(net::execution_context& context) : context_(context) {}
  executor get_executor() noexcept { return executor(*this); }
  bool empty() const noexcept { return waiting_.empty(); }
  bool running() const noexcept { return running_; }
  /// Runs one thing. How many there have been is counted.
  void run_one() {
    REQUIRE_FALSE(waiting_.empty());
    const auto first = std::move(waiting_.front());
    waiting_.pop_front();
    ++executed;
    running_ = true;
    first->run();
    running_ = false;
  }
  int executed = 0;

private:
  struct job_base {
    virtual ~job_base() = default;
    virtual void run() = 0;
  };
  template <class F>
  struct job final : job_base {
    explicit job(F f) : function(std::move(f)) {}
    void run() override { std::move(function)(); }
    F function;
  };
  net::execution_context& context_;
  std::deque<std::unique_ptr<job_base>> waiting_;
  bool running_ = false;
};

/// Runs the context and the queue until neither has anything to do now.
void run_ready(bench& b, hand_run_queue& queue) {
  for (bool done = false; !done;) {
    b.context.restart();
    done = b.context.poll() == 0 && queue.empty();
    if (!queue.empty()) queue.run_one();
  }
}

}  // namespace

// -- executor --

TEST_CASE_TEMPLATE("the handler is called in its executor", Op, RINGBELL_ALL_OPERATIONS) {
  for (const bool blocked : {false, true}) {
    CAPTURE(blocked);
    bench b;
    hand_run_queue queue(b.context);
    completion<Op> c;
    bool in_queue = false;
    if (blocked)
      Op::block(b);
    else
      Op::allow(b);
    Op::start(b, net::bind_executor(queue.get_executor(),
                                    [&](const net_error_code& error, auto&&... values) {
                                      in_queue = queue.running();
                                      c.set(error, std::forward<decltype(values)>(values)...);
                                    }));
    run_ready(b, queue);
    if (blocked) Op::allow(b);
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (c.calls == 0 && std::chrono::steady_clock::now() < deadline) run_ready(b, queue);
    run_ready(b, queue);
    CHECK(c.ended_with({}));
    CHECK(Op::gave(*c.value));
    CHECK(in_queue);
    CHECK(queue.executed >= (blocked ? 2 : 1));
  }
}

TEST_CASE_TEMPLATE("nothing happens before the handler's executor lets it", Op,
                   RINGBELL_CHANNEL_OPERATIONS) {
  bench b;
  hand_run_queue queue(b.context);
  completion<Op> c;
  b.near->spin(spin_policy::none);
  const auto before = b.near->statistics();
  Op::allow(b);
  Op::start(b, net::bind_executor(queue.get_executor(), c.handler()));
  b.context.poll();
  CHECK_FALSE(queue.empty());
  CHECK(b.near->statistics().messages_received == before.messages_received);
  CHECK(b.near->statistics().messages_sent == before.messages_sent);
  CHECK(b.near->statistics().parks == before.parks);
  queue.run_one();
  CHECK(c.succeeded(b));
  CHECK(queue.empty());
}

TEST_CASE_TEMPLATE("an operation that was woken goes on in the handler's executor", Op,
                   RINGBELL_CHANNEL_OPERATIONS) {
  bench b;
  hand_run_queue queue(b.context);
  completion<Op> c;
  b.near->spin(spin_policy::none);
  Op::block(b);
  Op::start(b, net::bind_executor(queue.get_executor(), c.handler()));
  run_ready(b, queue);
  CHECK(c.calls == 0);
  Op::allow(b);
  run_until(b.context, [&] { return !queue.empty(); });
  CHECK(c.calls == 0);
  run_ready(b, queue);
  CHECK(c.succeeded(b));
}

TEST_CASE("the authorizer is asked in the executor of the accept") {
  bench b;
  hand_run_queue queue(b.context);
  int asked = 0;
  bool in_queue = false;
  listener_options options;
  options.authorize = [&](const sys::peer_identity&) {
    ++asked;
    in_queue = queue.running();
    return true;
  };
  asio_listener listener(b.context, b.name, options);
  completion<accept_operation> accepted;
  completion<connect_operation> connected;
  listener.async_accept(net::bind_executor(queue.get_executor(), accepted.handler()));
  async_connect(b.context, b.name, connected.handler());
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (connected.calls == 0 && std::chrono::steady_clock::now() < deadline) run_ready(b, queue);
  CHECK(accepted.ended_with({}));
  CHECK(connected.ended_with({}));
  CHECK(asked == 1);
  CHECK(in_queue);
}

// -- two contexts --

TEST_CASE_TEMPLATE(
    "a context goes on running while an operation on its channel is under way in another one" *
        needs_exact_wakes,
    Op, RINGBELL_CHANNEL_OPERATIONS) {
  bench b;
  net::io_context other;
  completion<Op> c;
  b.near->spin(spin_policy::none);
  Op::block(b);
  Op::start(b, net::bind_executor(other.get_executor(), c.handler()));
  // Begun, and waiting for its first turn.
  b.context.restart();
  b.context.poll();
  CHECK_FALSE(b.context.stopped());
  CHECK(other.poll() == 1);
  // Asleep.
  b.context.poll();
  CHECK_FALSE(b.context.stopped());
  CHECK_FALSE(other.stopped());
  Op::allow(b);
  // Woken, and waiting for its turn once more.
  CHECK(b.context.run_one_for(patience) == 1);
  CHECK(c.calls == 0);
  b.context.poll();
  CHECK_FALSE(b.context.stopped());
  CHECK(other.run_for(patience) == 1);
  CHECK(other.stopped());
  CHECK(c.succeeded(b));
  b.context.poll();
  CHECK(b.context.stopped());
}

TEST_CASE("a cancelled operation of another context lets go of the channel's") {
  bench b;
  net::io_context other;
  completion<recv_operation> c;
  b.near->spin(spin_policy::none);
  b.near->async_recv(net::bind_executor(other.get_executor(), c.handler()));
  other.poll();
  b.near->cancel();
  b.context.restart();
  b.context.poll();
  CHECK(c.calls == 0);
  other.poll();
  CHECK(c.ended_with(net::error::operation_aborted));
  b.context.poll();
  CHECK(b.context.stopped());
}

TEST_CASE("a channel's context and its handlers' context in two threads") {
  bench b;
  net::io_context other;
  auto work = net::make_work_guard(other);
  const int count = 2000;
  int received = 0;
  bool all_there = true;
  bool far_ended = false;
  std::function<void()> receive = [&] {
    b.near->async_recv(
        net::bind_executor(other.get_executor(), [&](net_error_code error, message m) {
          all_there = all_there && !error && m.size() == sizeof received &&
                      std::memcmp(m.data(), &received, sizeof received) == 0;
          m.release();
          if (++received < count && all_there) return receive();
          b.near->close();
          work.reset();
        }));
  };
  const auto send = [&]() -> net::awaitable<void> {
    for (int i = 0; i < count; ++i)
      co_await b.far->async_send(net::buffer(&i, sizeof i), net::use_awaitable);
    far_ended = !co_await b.far->recv();
  };
  receive();
  net::co_spawn(b.context, send, rethrow);
  std::thread runner([&] { other.run_for(patience); });
  run_out(b.context);
  runner.join();
  CHECK(all_there);
  CHECK(received == count);
  CHECK(far_ended);
}

// -- allocator --

namespace {

struct memory_use {
  std::size_t allocations = 0;
  std::size_t outstanding = 0;
};

template <class T>
struct counting_allocator {
  using value_type = T;
  explicit counting_allocator(memory_use& u) noexcept : use(&u) {}
  template <class U>
  counting_allocator(const counting_allocator<U>& other) noexcept : use(other.use) {}
  T* allocate(std::size_t n) {
    ++use->allocations;
    use->outstanding += n * sizeof(T);
    return static_cast<T*>(std::malloc(n * sizeof(T)));
  }
  void deallocate(T* p, std::size_t n) noexcept {
    use->outstanding -= n * sizeof(T);
    std::free(p);
  }
  template <class U>
  friend bool operator==(const counting_allocator& a, const counting_allocator<U>& b) noexcept {
    return a.use == b.use;
  }
  memory_use* use;
};

/// Looks, when it is called, what is still allocated.
template <class Op>
class counting_handler {
public:
  using executor_type = net::io_context::executor_type;
  using allocator_type = counting_allocator<void>;
  struct seen {
    memory_use use;
    completion<Op> ended;
    std::size_t outstanding_then = ~std::size_t{0};
    std::size_t global_then = 0;
  };
  counting_handler(bench& b, seen& to) noexcept : executor_(b.context.get_executor()), to_(&to) {}
  executor_type get_executor() const noexcept { return executor_; }
  allocator_type get_allocator() const noexcept { return allocator_type(to_->use); }
  template <class... Values>
  void operator()(const net_error_code& error, Values&&... values) {
    to_->global_then = test::allocations;
    to_->outstanding_then = to_->use.outstanding;
    to_->ended.set(error, std::forward<Values>(values)...);
  }

private:
  executor_type executor_;
  seen* to_;
};

}  // namespace

TEST_CASE_TEMPLATE(
    "the handler's allocator is used, and has everything back when the handler is called", Op,
    RINGBELL_ALL_OPERATIONS) {
  for (const bool blocked : {false, true}) {
    CAPTURE(blocked);
    bench b;
    typename counting_handler<Op>::seen seen;
    if (blocked)
      Op::block(b);
    else
      Op::allow(b);
    Op::start(b, counting_handler<Op>(b, seen));
    CHECK(seen.use.outstanding > 0);
    if (blocked) {
      b.settle();
      CHECK(seen.use.outstanding > 0);
      Op::allow(b);
    }
    run_out(b.context);
    CHECK(seen.ended.succeeded(b));
    CHECK(seen.outstanding_then == 0);
    CHECK(seen.use.outstanding == 0);
    CHECK(seen.use.allocations == 1);  // its turns take no memory of their own
  }
}

TEST_CASE_TEMPLATE("an operation on a channel takes no memory from anywhere else", Op,
                   RINGBELL_CHANNEL_OPERATIONS) {
  for (const bool blocked : {false, true}) {
    CAPTURE(blocked);
    bench b;
    // With a concrete executor: a type-erased one has no way of being told about an allocator.
    typename counting_handler<Op>::seen first, seen;
    for (auto* const each : {&first, &seen}) {
      if (blocked)
        Op::block(b);
      else
        Op::allow(b);
      b.near->spin(spin_policy::none);
      const std::size_t before = test::allocations;
      Op::start(b, counting_handler<Op>(b, *each));
      if (blocked) {
        b.settle();
        Op::allow(b);
      }
      run_out(b.context);
      CHECK(each->ended.ended_with({}));
      each->ended.value.reset();
      // The first one may set something up that stays.
      if (each == &seen && test::counts_allocations) CHECK(each->global_then == before);
    }
  }
}

TEST_CASE_TEMPLATE("an operation that is destroyed with its context gives its memory back", Op,
                   RINGBELL_ALL_OPERATIONS) {
  typename counting_handler<Op>::seen seen;
  {
    bench b;
    Op::block(b);
    Op::start(b, counting_handler<Op>(b, seen));
    b.settle();
    CHECK(seen.use.outstanding > 0);
  }
  CHECK(seen.ended.calls == 0);
  CHECK(seen.use.outstanding == 0);
}

// -- cancellation slot --

TEST_CASE_TEMPLATE(
    "the slot is taken while an operation is pending, and free when its handler is called", Op,
    RINGBELL_ALL_OPERATIONS) {
  for (const bool blocked : {false, true}) {
    CAPTURE(blocked);
    bench b;
    completion<Op> c;
    net::cancellation_signal signal;
    bool taken_then = true;
    if (blocked)
      Op::block(b);
    else
      Op::allow(b);
    Op::start(b, net::bind_cancellation_slot(
                     signal.slot(), [&](const net_error_code& error, auto&&... values) {
                       taken_then = signal.slot().has_handler();
                       c.set(error, std::forward<decltype(values)>(values)...);
                     }));
    CHECK(signal.slot().has_handler());
    if (blocked) {
      b.settle();
      CHECK(signal.slot().has_handler());
      Op::allow(b);
    }
    run_out(b.context);
    CHECK(c.succeeded(b));
    CHECK_FALSE(taken_then);
    CHECK_FALSE(signal.slot().has_handler());
  }
}

TEST_CASE_TEMPLATE("what a cancelled operation leaves in its slot does nothing any more", Op,
                   RINGBELL_OBJECT_OPERATIONS) {
  for (const bool by_signal : {true, false}) {
    CAPTURE(by_signal);
    bench b;
    completion<Op> first, second;
    net::cancellation_signal signal;
    Op::block(b);
    Op::start(b, net::bind_cancellation_slot(signal.slot(), first.handler()));
    b.settle();
    if (by_signal) {
      signal.emit(net::cancellation_type::terminal);
    } else {
      b.near->cancel();
      b.listener.cancel();
    }
    signal.emit(net::cancellation_type::terminal);
    Op::start(b, second.handler());
    signal.emit(net::cancellation_type::terminal);
    b.settle();
    CHECK(first.ended_with(net::error::operation_aborted));
    CHECK(second.calls == 0);
    signal.emit(net::cancellation_type::terminal);
    Op::allow(b);
    run_out(b.context);
    CHECK(second.succeeded(b));
  }
}

TEST_CASE_TEMPLATE("an operation that is turned away leaves the slot alone", Op,
                   RINGBELL_OBJECT_OPERATIONS) {
  bench b;
  completion<Op> c;
  net::cancellation_signal signal;
  Op::close(b);
  Op::start(b, net::bind_cancellation_slot(signal.slot(), c.handler()));
  CHECK_FALSE(signal.slot().has_handler());
  signal.emit(net::cancellation_type::all);
  run_out(b.context);
  CHECK(c.ended_with(net::error::bad_descriptor));
}

TEST_CASE("an emission that comes too late does not touch the next operation") {
  bench b;
  net::cancellation_signal signal;
  completion<recv_operation> first, second;
  recv_operation::allow(b);
  b.near->async_recv(
      net::bind_cancellation_slot(signal.slot(), [&](const net_error_code& error, message m) {
        first.set(error, std::move(m));
        b.near->async_recv(second.handler());
        signal.emit(net::cancellation_type::all);
      }));
  run_until(b.context, [&] { return first.calls != 0; });
  b.settle();
  CHECK(second.calls == 0);
  recv_operation::allow(b);
  run_out(b.context);
  CHECK(second.ended_with({}));
}

}  // TEST_SUITE("asio association")
