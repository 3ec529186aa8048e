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

/// State of another library that is attached to a loop and lives as long as the loop.
class loop_attachment {
public:
  loop_attachment() = default;
  loop_attachment(const loop_attachment&) = delete;
  loop_attachment& operator=(const loop_attachment&) = delete;
  virtual ~loop_attachment() = default;
  /// Called when the loop is being destroyed: destroys everything that waits. Afterwards the loop
  /// destroys its own work, and then this object.
  virtual void shut_down() noexcept = 0;
};
}  // namespace detail

/// What a loop sleeps in: io_uring or epoll on Linux, kqueue on macOS and the BSDs, iocp on
/// Windows.
///
/// `automatic` reads the environment variable RINGBELL_LOOP, which is the name of one of them. When
/// it is not set, the best one for the system is chosen. On Linux this is io_uring when a trial
/// ring works, and epoll otherwise.
enum class loop_backend : std::uint8_t { automatic, io_uring, epoll, kqueue, iocp };

namespace detail {
/// The back end that is cheapest to create, works wherever its system does, and can be waited for
/// through one handle.
loop_backend plain_backend() noexcept;
/// The back end with this name; `automatic` when there is none.
loop_backend backend_named(std::string_view name) noexcept;
}  // namespace detail

/// Options of a loop: `loop lp({.spin = spin_policy::none})`.
struct loop_options {
  loop_backend backend = loop_backend::automatic;  ///< what the loop sleeps in
  spin_policy spin = spin_policy::automatic;       ///< whether it polls before it sleeps
};

/// Counters of a loop, from its construction on.
struct loop_statistics {
  std::uint64_t turns = 0;       ///< passes over the ready coroutines
  std::uint64_t sleeps = 0;      ///< how often the thread slept in the kernel
  std::uint64_t spins = 0;       ///< how often it polled before sleeping
  std::uint64_t spins_paid = 0;  ///< how often a message came during such a poll
  std::uint64_t events = 0;      ///< kernel events delivered
};

/// An event loop. It runs coroutines on the thread that calls `run`, and sleeps when none can go
/// on.
///
/// `run`, `run_until_idle` and `run_ready` do not nest: called from within a coroutine or function
/// that the same loop is running, they throw `errc::busy`. An exception that leaves a posted
/// function leaves them too. Nothing is lost then: run again.
///
/// In the child after fork() a loop may be destroyed, with everything that waits on it; the
/// parent's loop is not affected. A run in the child throws `std::errc::operation_not_permitted`. A
/// child that needs a loop creates its own.
///
/// Thread-safety: `post` and `stop` from any thread. Everything else from one thread at a time: the
/// one that runs the loop and, while none does, any other. So a program may set up a loop on one
/// thread and run it on another, provided that one happens before the other (`std::thread::join`, a
/// mutex). With io_uring the first run on another thread takes a fraction of a millisecond longer.
/// Lifetime: the loop should outlive everything that waits on it. An object that belongs to it and
/// exists longer (a channel, a listener, a client, a server, a scope) is closed with it, and its
/// operations then end with `errc::closed`.
class loop final : public detail::scheduler {
public:
  /// The clock of timers and deadlines.
  using clock = std::chrono::steady_clock;

  /// Creates the loop and its back end.
  /// Errors: throws `std::system_error` with the system's error; with `errc::not_supported` when
  /// the requested back end does not work here; with `std::errc::invalid_argument` when
  /// RINGBELL_LOOP or RINGBELL_SPIN is read and its value is not known.
  explicit loop(loop_options options = {});
  loop(const loop&) = delete;
  loop& operator=(const loop&) = delete;
  /// Destroys the frames of spawned tasks that have not ended, and the posted functions that were
  /// not run.
  ~loop() override;

  /// Runs until `main` has ended. Returns its value or throws its exception. Spawned tasks that
  /// have not ended stay suspended, and go on with the next run.
  /// Cancellation: throws `errc::cancelled` when `stop()` came first; `main` is then destroyed.
  template <class T>
  T run(task<T> main);
  /// Runs until `stop()`.
  void run();
  /// Runs until `stop()` is called, or until every spawned task has ended, every posted function
  /// has run, and no executor (asio/executor.hpp) announces more of them.
  void run_until_idle();
  /// Makes the current run return soon, or the next run when there is none.
  /// Thread-safety: any thread.
  /// Lifetime: the loop may be destroyed as soon as that run has returned, even when this call has
  /// not: the destructor waits for it. So one thread may own a loop that another thread stops.
  void stop() noexcept;

  /// Starts a task that belongs to the loop; it begins on the loop's next turn. An exception that
  /// leaves it calls std::terminate. To handle failures, spawn into a `scope`.
  void spawn(task<void> t);
  /// Calls `f` on the loop's thread, in the order of posting. Allocates.
  /// Thread-safety: any thread.
  /// Lifetime: as with `stop`, the loop may be destroyed when `f` has run.
  void post(std::function<void()> f);

  /// The handle for a foreign event loop. Call `run_ready()` once, then poll this handle for
  /// reading (level-triggered), and call `run_ready()` whenever it is readable.
  sys::native_handle native_handle();
  /// Runs what is ready, without sleeping. Then arms the native handle for whatever comes next:
  /// timers, posts, and whatever the foreign loop's own callbacks start or complete. After many
  /// turns it returns with work left, so that the foreign loop has its turn; the handle is then
  /// readable at once. Returns whether anything ran.
  /// Errors: throws `std::system_error` when the kernel cannot be asked, or cannot be told what to
  /// wait for (it may be out of memory). Call it again soon then: until a call has succeeded, the
  /// handle may stay silent.
  bool run_ready();
  /// As `run_ready`, for a foreign loop that can call this again before it sleeps. When nothing is
  /// ready, it polls the rings as the loop's `spin_policy` says, for some 2 us at a time.
  ///
  /// Returns true when something ran, or when there is more to poll. The native handle is then not
  /// armed: call this again as soon as the foreign loop has no other work, and before it sleeps.
  /// Returns false when the native handle is armed. Call this again when the handle is readable, or
  /// when the foreign loop has started something on this loop.
  /// Errors: those of `run_ready`; the native handle is then armed. When memory is too short to arm
  /// it, the call returns true, and the next call tries again.
  bool drive() { return drive(true); }

  /// The loop that is running on this thread; null when none is.
  static loop* current() noexcept {
    return static_cast<loop*>(detail::scheduler_access::current());
  }

  /// The name of the back end: `io_uring`, `epoll`, `kqueue` or `iocp`.
  std::string_view backend_name() const noexcept;
  /// One sentence that says which back end was chosen, with which features, and why.
  std::string_view backend_reason() const noexcept { return reason_; }
  spin_policy spinning() const noexcept { return sources_.policy(); }
  /// Whether awaiting a futex word works on this loop (it does with io_uring on Linux 6.7 or
  /// later).
  bool can_wait_on_futex() const noexcept;
  loop_statistics statistics() const noexcept { return statistics_; }

private:
  friend struct detail::loop_access;
  class
      remote_queue;  // the part for other threads: the queue, the wake-up bell, and the sleeping flag
  class roots;       // the frames of the spawned tasks
  class running;     // lasts from the beginning of a run to its end

  void run_until_ended(std::coroutine_handle<> main);
  bool discard();  // destroys what was spawned and posted; true when there was any
  void step();     // finds something that is ready, and sleeps if necessary; then turns
  void turn();     // runs the ready coroutines once, then due timers and waiting events
  inline void look_up(int completions);
  inline bool begin_spin();
  bool spin(detail::spin_turn* within);  // returns whether the spin is to continue later
  inline bool something_to_run() const noexcept;
  bool drive(bool hands_over);
  bool ready_turns();
  bool drive_turns(bool hands_over);
  void arm();
  void arm_after_error() noexcept;
  void come_to_this_thread();
  /// Returns true when nothing became ready meanwhile, and every peer will ring its bell.
  bool prepare_to_sleep() noexcept;
  void park();
  void expire_timers();
  void nudge() noexcept override;

  /// Where the loop runs.
  struct place {
    std::uint64_t process;
    std::uint64_t thread = 0;  // the thread that ran it last
    bool running = false;
    bool comes_back = false;  // a driver that calls again soon has control
    bool hands_over = false;  // the driver's executor has work that this loop gave to it
  };
  /// The last look of a busy loop at the clock, the rings and the kernel.
  struct last_look {
    unsigned resumes_since = 0;
    clock::time_point at{};  // the time of the last look that followed a turn with many completions
  };

  place place_;
  last_look looked_;
  detail::polled_sources sources_;
  std::string reason_;
  std::unique_ptr<detail::reactor> reactor_;
  std::unique_ptr<remote_queue> remote_;
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
