// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/coro/detail/ready.hpp>
#include <ringbell/coro/detail/resident.hpp>
#include <ringbell/coro/detail/scheduler.hpp>
#include <ringbell/coro/detail/timer_heap.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/errors.hpp>
#include <ringbell/loop/detail/polled_sources.hpp>
#include <ringbell/loop/spin_policy.hpp>
#include <ringbell/sys/platform.hpp>

#include <chrono>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <system_error>

namespace ringbell {

namespace detail {
class reactor;
struct loop_access;

/// Another library's view of a loop, which lives as long as the loop.
class loop_attachment {
public:
  loop_attachment() = default;
  loop_attachment(const loop_attachment&) = delete;
  loop_attachment& operator=(const loop_attachment&) = delete;
  virtual ~loop_attachment() = default;
  /// The loop is going: destroys what waits. Afterwards the loop destroys what it has to run
  /// itself, and then this object.
  virtual void shut_down() noexcept = 0;
};
}  // namespace detail

/// What a loop sleeps in: io_uring or epoll on Linux, kqueue on macOS and the BSDs, iocp on
/// Windows. `automatic` reads the environment variable RINGBELL_LOOP (the name of one of them),
/// else takes what is best on the system; on Linux io_uring when a trial ring works, else epoll.
enum class loop_backend : std::uint8_t { automatic, io_uring, epoll, kqueue, iocp };

namespace detail {
/// The back end that is cheapest to make, works wherever its system does, and is waited for through
/// one handle.
loop_backend plain_backend() noexcept;
/// The one that a loop calls by this name; `automatic` when there is none.
loop_backend backend_named(std::string_view name) noexcept;
}  // namespace detail

/// What a loop is to be: `loop lp({.spin = spin_policy::none})`.
struct loop_options {
  loop_backend backend = loop_backend::automatic;
  spin_policy spin = spin_policy::automatic;
};

/// Counters of a loop since its construction.
struct loop_statistics {
  std::uint64_t turns = 0;       ///< passes over the ready coroutines
  std::uint64_t sleeps = 0;      ///< times the thread slept in the kernel
  std::uint64_t spins = 0;       ///< times it polled before sleeping
  std::uint64_t spins_paid = 0;  ///< ... and a message came meanwhile
  std::uint64_t events = 0;      ///< kernel events delivered
};

/// An event loop: runs coroutines on the one thread that calls `run`, and sleeps when none can go
/// on.
///
/// Thread-safety: `post` and `stop` from any thread; everything else from one thread at a time: the
/// one that runs the loop, and while none does, any other. So a program may set up on one thread
/// and go on running the loop on the next, as long as one happens after the other
/// (`std::thread::join`, a mutex); with io_uring the first run on another thread than the last
/// takes a fraction of a millisecond more.
/// Lifetime: outlives everything that waits on it. What belongs to it and is there longer (a
/// channel, a listener, a client, a server, a scope) is closed with it; whatever is asked of it
/// then ends with `errc::closed`.
///
/// In the child after fork() a loop may be destroyed, with all that waits on it: the parent's goes
/// on as if nothing had happened. A run there throws `std::errc::operation_not_permitted`; a child
/// that needs a loop makes its own.
///
/// `run`, `run_until_idle` and `run_ready` do not nest: called from within a coroutine or function
/// that the same loop is running, they throw `errc::busy`. An exception that leaves a posted
/// function leaves them too, and nothing is lost: run again.
class loop final : public detail::scheduler {
public:
  using clock = std::chrono::steady_clock;

  /// Opens the kernel's side. Throws `std::system_error`: the system's reason;
  /// `errc::not_supported` when the wanted back end cannot work here; `std::errc::invalid_argument`
  /// when RINGBELL_LOOP or RINGBELL_SPIN is read and has no such value.
  explicit loop(loop_options options = {});
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  /// Destroys the frames of spawned tasks that have not ended, and the functions posted but not
  /// run.
  ~loop();

  /// Runs until `main` has ended; gives its value or throws what it threw. Spawned tasks that are
  /// still going stay suspended, and go on with the next run. Throws `errc::cancelled` when
  /// `stop()` came first; `main` is then destroyed.
  template <class T>
  T run(task<T> main);
  /// Runs until `stop()`.
  void run();
  /// Runs until every spawned task has ended, every posted function has run and no executor
  /// (asio/executor.hpp) announces more of them, or until `stop()`.
  void run_until_idle();
  /// Makes the current (or else the next) run return soon. Thread-safe. The loop may be destroyed
  /// as soon as that run has returned, also while this call has not: the destructor waits for it.
  /// So a thread may own the loop that another one stops.
  void stop() noexcept;

  /// Starts a task that belongs to the loop; it begins on the loop's next turn. An exception that
  /// leaves it calls std::terminate: whoever wants to hear of failures spawns into a `scope`.
  void spawn(task<void> t);
  /// Calls `f` on the loop's thread, in the order of posting. The one call, with `stop`, that other
  /// threads may make; as with `stop`, the loop may be destroyed when `f` has run. Allocates.
  void post(std::function<void()> f);

  /// For a foreign event loop: poll this handle for reading (level-triggered); when it is readable,
  /// call `run_ready()`. Call `run_ready()` once first.
  sys::native_handle native_handle();
  /// Runs what is ready, without sleeping, then arms the native handle for whatever comes next:
  /// timers, posts, and what the foreign loop's own callbacks start or complete. After many turns
  /// it returns with work left, to be fair to the foreign loop; the handle then is readable at
  /// once. Returns whether anything ran. Throws `std::system_error` when the kernel cannot be
  /// asked, or told what to wait for (it may be out of memory): call again soon, since the handle
  /// may be silent about what comes until a call has succeeded.
  bool run_ready();

  /// The loop that is running on this thread; null outside of one.
  static loop* current() noexcept {
    return static_cast<loop*>(detail::scheduler_access::current());
  }

  /// `io_uring`, `epoll`, `kqueue` or `iocp`.
  std::string_view backend_name() const noexcept;
  /// One sentence: which back end was chosen, with which features, and why.
  std::string_view backend_reason() const noexcept { return reason_; }
  spin_policy spinning() const noexcept { return sources_.policy(); }
  /// Whether awaiting a futex word works on this loop (io_uring on kernel 6.7 or later).
  bool can_wait_on_futex() const noexcept;
  loop_statistics statistics() const noexcept { return statistics_; }

private:
  friend struct detail::loop_access;
  class posted;   // the cross-thread side: queue, wake-up bell, sleeping flag
  class roots;    // frames of spawned tasks
  class running;  // what lasts from entering a run to leaving it

  void run_until_ended(std::coroutine_handle<> main);
  bool discard();  // destroys what was spawned and posted; true when there was any
  void step();     // finds something that is ready, sleeping if need be; then turns
  void turn();     // runs the ready coroutines once, then due timers and waiting events
  void look_up(int completions);
  bool begin_spin();
  bool spin(detail::spin_turn* within);  // whether it is to go on later
  bool something_to_run() const noexcept;
  bool drive();
  bool ready_turns();
  bool drive_turns();
  void arm();
  void arm_after_error() noexcept;
  void come_to_this_thread();
  bool prepare_to_sleep() noexcept;  // true when nothing came up meanwhile, and everybody will ring
  void park();
  void expire_timers();
  void nudge() noexcept override;

  /// Where it runs.
  struct place {
    std::uint64_t process;
    std::uint64_t thread = 0;  // the one that ran it last
    bool running = false;
    bool comes_back = false;  // control is with a driver that calls again soon
    bool hands_over = false;  // the driver's executor has work that came from here
  };
  /// When a busy loop last looked at the clock, the rings and the kernel.
  struct last_look {
    unsigned resumes_since = 0;
    clock::time_point at{};  // after a turn with many completions
  };

  place place_;
  last_look looked_;
  detail::polled_sources sources_;
  std::string reason_;
  std::unique_ptr<detail::reactor> reactor_;
  std::unique_ptr<posted> posted_;
  std::unique_ptr<roots> roots_;
  std::unique_ptr<detail::loop_attachment> attachment_;
  loop_statistics statistics_;
};

template <class T>
T loop::run(task<T> main) {
  const auto frame = detail::task_access::frame(main);
  frame.promise().set_context(coroutine_context(this));
  run_until_ended(frame);
  if (!frame.done()) throw std::system_error(errc::cancelled);
  return frame.promise().take();
}

}  // namespace ringbell
