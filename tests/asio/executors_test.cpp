// SPDX-License-Identifier: BSL-1.0
// The same conversations on each kind of executor: Asio's own, and one that a program has written
// for a loop of its own.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <deque>
#include <exception>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/patience.hpp"
#include "support/pattern.hpp"
#include "support/process.hpp"

TEST_SUITE("asio executors") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

// Asio 1.27 and newer require it of the executor of whatever waits.
static_assert(
    net::can_require<detail::reactor_executor, net::execution::blocking_t::never_t>::value);

// -- a loop that knows nothing of Asio, and the executor that a program writes for it --

class foreign_loop {
public:
  /// Thread-safety: any thread.
  void post(std::function<void()> f) {
    {
      const std::lock_guard lock(mutex_);
      queue_.push_back(std::move(f));
    }
    posted_.notify_one();
  }
  template <class F>
  bool run_until(F holds) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    std::unique_lock lock(mutex_);
    while (!holds()) {
      if (!posted_.wait_until(lock, deadline, [this] { return !queue_.empty(); })) return false;
      const auto next = std::move(queue_.front());
      queue_.pop_front();
      lock.unlock();
      next();
      lock.lock();
    }
    return true;
  }
  /// Destroys what was posted and did not run.
  void clear() {
    std::deque<std::function<void()>> all;
    const std::lock_guard lock(mutex_);
    all.swap(queue_);
  }

private:
  std::mutex mutex_;
  std::condition_variable posted_;
  std::deque<std::function<void()>> queue_;
};

/// Asio keeps its services here: its timers, its sockets, and ringbell's lists.
class foreign_context : public net::execution_context {
public:
  foreign_context() = default;
  ~foreign_context() {
    shutdown();
    loop.clear();
    destroy();
  }
  foreign_loop loop;
};

/// All that an executor needs. It never runs a function within `execute`, and says so.
class foreign_executor {
public:
  explicit foreign_executor(foreign_context& context) noexcept : context_(&context) {}
  template <class Function>
  void execute(Function&& f) const {
    // std::function copies, and Asio's functions can only be moved.
    context_->loop.post([shared = std::make_shared<std::decay_t<Function>>(
                             std::forward<Function>(f))] { std::move (*shared)(); });
  }
  net::execution_context& query(net::execution::context_t) const noexcept { return *context_; }
  static constexpr net::execution::blocking_t query(net::execution::blocking_t) noexcept {
    return net::execution::blocking_t::never_t();
  }
  friend bool operator==(const foreign_executor&, const foreign_executor&) noexcept = default;

private:
  foreign_context* context_;
};
static_assert(std::is_convertible_v<foreign_executor, net::any_io_executor>);

/// The same loop, with an executor that can also run a function at once.
class dispatching_executor {
public:
  explicit dispatching_executor(foreign_context& context) noexcept : context_(&context) {}
  template <class Function>
  void execute(Function&& f) const {
    if (never_blocks_) return foreign_executor(*context_).execute(std::forward<Function>(f));
    std::decay_t<Function> local(std::forward<Function>(f));
    std::move(local)();
  }
  net::execution_context& query(net::execution::context_t) const noexcept { return *context_; }
  net::execution::blocking_t query(net::execution::blocking_t) const noexcept {
    if (never_blocks_) return net::execution::blocking.never;
    return net::execution::blocking.possibly;
  }
  dispatching_executor require(net::execution::blocking_t::never_t) const noexcept {
    dispatching_executor other(*this);
    other.never_blocks_ = true;
    return other;
  }
  friend bool operator==(const dispatching_executor&,
                         const dispatching_executor&) noexcept = default;

private:
  foreign_context* context_;
  bool never_blocks_ = true;
};
static_assert(std::is_convertible_v<dispatching_executor, net::any_io_executor>);

// -- where the conversations take place: an executor, and what runs it --

struct on_io_context {
  using executor_type = net::io_context::executor_type;
  executor_type executor() { return context.get_executor(); }
  template <class F>
  bool run_until(F holds) {
    return test::run_until(context, holds);
  }
  net::io_context context;
};

struct on_any_io_executor : on_io_context {
  using executor_type = net::any_io_executor;
  executor_type executor() { return context.get_executor(); }
};

struct on_strand : on_io_context {
  using executor_type = net::strand<net::io_context::executor_type>;
  executor_type executor() { return strand; }
  executor_type strand{context.get_executor()};
};

/// Threads of their own run the executor, and this one waits.
struct on_other_threads {
  template <class F>
  bool run_until(F holds) {
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (!holds()) {
      if (std::chrono::steady_clock::now() > deadline) return false;
      std::this_thread::sleep_for(100us);
    }
    return true;
  }
};

struct on_thread_pool : on_other_threads {
  using executor_type = net::thread_pool::executor_type;
  ~on_thread_pool() { pool.join(); }
  executor_type executor() { return pool.get_executor(); }
  net::thread_pool pool{2};
};

struct on_any_strand_of_a_pool : on_thread_pool {
  using executor_type = net::any_io_executor;
  executor_type executor() { return net::make_strand(pool); }
};

struct on_system_executor : on_other_threads {
  using executor_type = net::system_executor;
  executor_type executor() { return executor_type(); }
};

template <class Executor>
struct on_foreign_loop {
  using executor_type = Executor;
  executor_type executor() { return executor_type(context); }
  template <class F>
  bool run_until(F holds) {
    return context.loop.run_until(holds);
  }
  foreign_context context;
};

struct on_any_foreign_loop : on_foreign_loop<foreign_executor> {
  using executor_type = net::any_io_executor;
  executor_type executor() { return foreign_executor(context); }
};

#define RINGBELL_EXECUTORS                                                               \
  on_io_context, on_any_io_executor, on_strand, on_thread_pool, on_any_strand_of_a_pool, \
      on_system_executor, on_foreign_loop<foreign_executor>,                             \
      on_foreign_loop<dispatching_executor>, on_any_foreign_loop

// -- what happens --

/// Counts what the parties have done, in whichever thread.
struct tally {
  std::atomic<int> ended = 0;
  std::atomic<int> right = 0;
  std::atomic<int> wrong = 0;
  void note(bool as_expected) { ++(as_expected ? right : wrong); }
  /// For co_spawn: how a coroutine has ended.
  auto end() {
    return [this](const std::exception_ptr& e) {
      if (e) ++wrong;
      ++ended;
    };
  }
};

constexpr int rounds = 40;

/// Returns a length between 0 bytes and more than the ring holds at once.
std::size_t size_of_round(int n) { return n % 8 == 7 ? 20'000 : static_cast<std::size_t>(n) * 37; }

template <class Executor>
using awaits = net::use_awaitable_t<Executor>;

template <class Executor>
net::awaitable<void, Executor> echo_messages(basic_asio_listener<Executor>& listener) {
  auto ch = co_await listener.async_accept(awaits<Executor>());
  while (const auto m = co_await ch.recv()) co_await ch.send(buffer(*m));
}

template <class Executor>
net::awaitable<void, Executor> ask_messages(Executor executor, std::string name, tally& all) {
  connect_options options;
  options.ring_bytes = 4096;
  auto ch = co_await async_connect(executor, name, options, awaits<Executor>());
  all.note(ch.get_executor() == executor);
  for (int n = 0; n < rounds; ++n) {
    const auto bytes = patterned(size_of_round(n), static_cast<std::uint64_t>(n));
    co_await ch.async_send(net::buffer(bytes), awaits<Executor>());
    const message m = co_await ch.async_recv(awaits<Executor>());
    all.note(std::ranges::equal(m.bytes(), bytes));
  }
}

template <class Executor>
net::awaitable<void, Executor> echo_bytes(basic_asio_stream_acceptor<Executor>& acceptor) {
  basic_asio_stream<Executor> s(acceptor.get_executor());
  co_await acceptor.async_accept(s, awaits<Executor>());
  std::vector<std::byte> buffer(3000);
  for (;;) {
    net_error_code error;
    const std::size_t n = co_await s.async_read_some(
        net::buffer(buffer), net::redirect_error(awaits<Executor>(), error));
    if (error == net::error::eof) co_return;
    if (error) throw net_system_error(error);
    co_await net::async_write(s, net::buffer(buffer.data(), n), awaits<Executor>());
  }
}

template <class Executor>
net::awaitable<void, Executor> ask_bytes(Executor executor, std::string name, tally& all) {
  auto s = co_await async_connect_stream(executor, name, awaits<Executor>());
  for (int n = 0; n < rounds; ++n) {
    const auto bytes = patterned(size_of_round(n), static_cast<std::uint64_t>(n));
    std::vector<std::byte> back(bytes.size());
    co_await net::async_write(s, net::buffer(bytes), awaits<Executor>());
    co_await net::async_read(s, net::buffer(back), awaits<Executor>());
    all.note(back == bytes);
  }
}

/// Both ends of a connection, made by callbacks.
template <class Executor>
struct callbacks {
  callbacks(const Executor& executor, const std::string& name)
      : listener(executor, name), near(executor), far(executor) {}
  void begin(tally& all) {
    listener.async_accept([this, &all](net_error_code error, basic_asio_channel<Executor> ch) {
      all.note(!error && ch.get_executor() == listener.get_executor());
      far = std::move(ch);
      far.async_recv([this, &all](net_error_code e, message m) {
        all.note(!e && m.text() == "question");
        m.release();
        far.async_send(net::buffer("answer", 6), [&all](net_error_code sent) {
          all.note(!sent);
          ++all.ended;
        });
      });
    });
    async_connect(near.get_executor(), listener.path(),
                  [this, &all](net_error_code error, basic_asio_channel<Executor> ch) {
                    all.note(!error);
                    near = std::move(ch);
                    near.async_send(net::buffer("question", 8), [this, &all](net_error_code sent) {
                      all.note(!sent);
                      receive(all);
                    });
                  });
  }
  void receive(tally& all) {
    near.async_recv([&all](net_error_code error, message m) {
      all.note(!error && m.text() == "answer");
      m.release();  // because the other thread may close the channel as soon as this has ended
      ++all.ended;
    });
  }

  basic_asio_listener<Executor> listener;
  basic_asio_channel<Executor> near;
  basic_asio_channel<Executor> far;
};

/// One of each operation that waits for ever, all on one strand, and a timer that cancels them by
/// their slots. The executor is behind an `any_io_executor`, so that this is compiled once.
struct cancelled {
  cancelled(const net::any_io_executor& executor, const temporary_folder& folder)
      : strand(net::make_strand(executor)),
        listener(strand, folder / "messages"),
        acceptor(strand, folder / "bytes"),
        nobody(folder / "nobody"),
        near(strand),
        far(strand),
        reader(strand),
        writer(strand),
        peer(strand),
        delay(strand) {}

  void begin(tally& all) {
    net::post(strand, [this, &all] {
      listener.async_accept([this, &all](net_error_code error, channel_type ch) {
        far = std::move(ch);
        connected(!error, all);
      });
      async_connect(strand, listener.path(), [this, &all](net_error_code error, channel_type ch) {
        near = std::move(ch);
        connected(!error, all);
      });
      acceptor.async_accept(writer, [this, &all](net_error_code error) { connected(!error, all); });
      async_connect_stream(strand, acceptor.path(),
                           [this, &all](net_error_code error, stream_type s) {
                             reader = std::move(s);
                             connected(!error, all);
                           });
    });
  }
  /// Returns whether all operations were cancelled.
  bool done() const noexcept { return emitted_; }

private:
  using strand_type = net::strand<net::any_io_executor>;
  using channel_type = basic_asio_channel<strand_type>;
  using stream_type = basic_asio_stream<strand_type>;
  using timer = net::basic_waitable_timer<std::chrono::steady_clock,
                                          net::wait_traits<std::chrono::steady_clock>, strand_type>;
  static constexpr int operations = 6;

  auto cancellable(tally& all) {
    return net::bind_cancellation_slot(
        signals_[begun_++].slot(), [this, &all](net_error_code error, auto&&...) {
          all.note(error == net::error::operation_aborted && strand.running_in_this_thread());
          if (++all.ended == operations) all.note(!peer.is_open());
        });
  }
  void connected(bool well, tally& all) {
    all.note(well);
    if (++connections_ != 4) return;
    near.async_recv(cancellable(all));
    reader.async_read_some(net::buffer(bytes_), cancellable(all));
    listener.async_accept(cancellable(all));
    acceptor.async_accept(peer, cancellable(all));
    async_connect(strand, nobody, cancellable(all));
    fill(all);
    delay.expires_after(2ms);
    delay.async_wait([this](net_error_code) {
      for (auto& s : signals_) s.emit(net::cancellation_type::total);
      emitted_ = true;
    });
  }
  void fill(tally& all) {
    const std::vector<std::byte> zeros(500);
    while (!near.try_send(net::buffer(zeros))) continue;
    near.async_send(net::buffer(bytes_), cancellable(all));
  }

  strand_type strand;
  basic_asio_listener<strand_type> listener;
  basic_asio_stream_acceptor<strand_type> acceptor;
  std::string nobody;
  channel_type near;
  channel_type far;
  stream_type reader;
  stream_type writer;
  stream_type peer;
  timer delay;
  std::vector<std::byte> bytes_ = std::vector<std::byte>(500);
  net::cancellation_signal signals_[operations];
  std::size_t begun_ = 0;
  int connections_ = 0;
  std::atomic<bool> emitted_ = false;
};

}  // namespace

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT
TEST_CASE_TEMPLATE("coroutines on this executor exchange messages", On, RINGBELL_EXECUTORS) {
  On on;
  const temporary_folder folder;
  tally all;
  const auto executor = on.executor();
  listener_options options;
  options.default_ring_bytes = 4096;
  basic_asio_listener<typename On::executor_type> listener(executor, folder / "service", options);
  net::co_spawn(executor, echo_messages(listener), all.end());
  net::co_spawn(executor, ask_messages(executor, listener.path(), all), all.end());
  CHECK(on.run_until([&] { return all.ended == 2; }));
  CHECK(all.right == rounds + 1);
  CHECK(all.wrong == 0);
}

TEST_CASE_TEMPLATE("coroutines on this executor exchange bytes through a stream", On,
                   RINGBELL_EXECUTORS) {
  On on;
  const temporary_folder folder;
  tally all;
  const auto executor = on.executor();
  basic_asio_stream_acceptor<typename On::executor_type> acceptor(executor, folder / "service");
  net::co_spawn(executor, echo_bytes(acceptor), all.end());
  net::co_spawn(executor, ask_bytes(executor, acceptor.path(), all), all.end());
  CHECK(on.run_until([&] { return all.ended == 2; }));
  CHECK(all.right == rounds);
  CHECK(all.wrong == 0);
}
#endif

TEST_CASE_TEMPLATE("callbacks on this executor accept, connect, send and receive", On,
                   RINGBELL_EXECUTORS) {
  On on;
  const temporary_folder folder;
  tally all;
  callbacks<typename On::executor_type> both(on.executor(), folder / "service");
  both.begin(all);
  CHECK(on.run_until([&] { return all.ended == 2; }));
  CHECK(all.right == 6);
  CHECK(all.wrong == 0);
}

TEST_CASE_TEMPLATE("what waits on a strand of this executor is cancelled by its slot", On,
                   RINGBELL_EXECUTORS) {
  On on;
  const temporary_folder folder;
  tally all;
  {
    cancelled waiting(on.executor(), folder);
    waiting.begin(all);
    CHECK(on.run_until([&] { return all.right + all.wrong == 4 + 6 + 1; }));
    // The timer's handler may still be in its last call of emit.
    CHECK(on.run_until([&] { return waiting.done(); }));
  }
  CHECK(all.wrong == 0);
}

namespace {

/// A context of another library, which converts to Asio's executor.
class wrapped_context {
public:
  operator net::any_io_executor() { return context.get_executor(); }
  net::io_context context;
};

}  // namespace

TEST_CASE("what converts to Asio's executor stands for one") {
  wrapped_context wrapped;
  const temporary_folder folder;
  asio_listener listener(wrapped, folder / "messages");
  asio_stream_acceptor acceptor(wrapped, folder / "bytes");
  asio_channel ch(wrapped);
  asio_stream s(wrapped);
  listener.async_accept([](net_error_code, const asio_channel&) {});
  acceptor.async_accept([](net_error_code, const asio_stream&) {});
  async_connect(wrapped, listener.path(), [&](net_error_code error, asio_channel made) {
    CHECK_FALSE(error);
    ch = std::move(made);
  });
  async_connect_stream(wrapped, acceptor.path(), connect_options(),
                       [&](net_error_code error, asio_stream made) {
                         CHECK_FALSE(error);
                         s = std::move(made);
                       });
  REQUIRE(run_until(wrapped.context, [&] { return ch.is_open() && s.is_open(); }));
  CHECK(ch.get_executor() == wrapped.context.get_executor());
}

}  // TEST_SUITE("asio executors")
