// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/loop.hpp>

#include "posted.hpp"
#include "reactors.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/loop/detail/loop_access.hpp>
#include <ringbell/loop/detail/spin_limits.hpp>
#include <ringbell/ring/detail/park_fence.hpp>
#include <ringbell/sys/cpu.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <atomic>
#include <exception>
#include <new>
#include <utility>

namespace ringbell {

namespace {

thread_local loop* running_here = nullptr;

// The number of this thread, from 1. Unlike an id of the system it is never that of a thread that has ended.
std::uint64_t this_thread() noexcept {
  static std::atomic<std::uint64_t> last{0};
  thread_local const std::uint64_t number = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return number;
}

// How often a coroutine may go on without suspending before the others have their turn. A completion on the spot takes tens of
// nanoseconds and a turn about as much: so the turn costs under one percent, and nobody waits more than some microseconds for his.
constexpr int completions_per_resume = 128;

// A busy loop looks at the clock (20 to 50 ns) only on every so manyth turn: a timer is late by a few turns at most, that is microseconds.
constexpr std::uint64_t turns_per_clock_read = 16;

// A turn in which operations completed on the spot may have taken long, as when a client floods its server: so it is worth a look at the clock, and
// when that much time has passed since the last one, at everything.
constexpr int completions_per_clock_read = 16;
constexpr std::chrono::microseconds longest_blindness{5};

// With thousands of coroutines a single turn takes milliseconds. After one that has run so many, or several, the loop looks at the clock, the rings
// and the kernel, whatever that costs: it is little for each of them.
constexpr unsigned resumes_per_look = 256;

// A busy loop polls the rings that somebody waits on. To look at one in vain takes some 10 ns; to park it, and to be rung by it, some
// 10 us for both sides. So one that was silent for as many looks as a park is worth is parked: that is never worse than twice the best
// choice known afterwards (see spin_history.hpp). A few are not worth the trouble; and of very many the ones that were silent for the
// longest time are parked at once, since the rest would wait for the looks at them.
constexpr unsigned looks_worth_a_park = 1000;
constexpr std::size_t few_sources = 64;
constexpr std::size_t many_sources = 1024;

// How long run_ready() and drive() may keep a foreign loop waiting.
constexpr int turns_per_run_ready = 64;

// The affinity mask seldom changes, and asking is a system call.
constexpr unsigned spins_per_cpu_look = 100'000;

// Lack of memory as an error like others: code that begins a watch in the course of something else has no caller to throw to.
template <class F>
std::error_code without_memory(F watch) noexcept {
  try {
    return watch();
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

}  // namespace

loop* detail::current_loop() noexcept { return running_here; }
void detail::resume_soon(loop& on, ready_node& node) noexcept { loop_access::schedule(on, node); }

class loop::roots final : public detail::task_owner {
public:
  void add(detail::task_promise<void>& root, environment env) noexcept { list_.add(root, *this, env); }
  bool empty() const noexcept { return list_.empty(); }
  void clear() noexcept { list_.clear(); }

private:
  void ended(detail::task_promise<void>& root) noexcept override {
    if (const std::exception_ptr error = root.take_error()) std::rethrow_exception(error);  // terminates, and names the exception
    detail::task_list::destroy(root);
  }
  detail::task_list list_;
};

class loop::running {
public:
  explicit running(loop& lp) : loop_(lp), outer_(running_here) {
    if (lp.running_) throw std::system_error(errc::busy, "ringbell: this loop is running already");
    lp.come_to_this_thread();
    running_here = &lp;
    lp.running_ = true;
    lp.armed_ = false;
    lp.posted_->set_asleep(false);
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() {
    loop_.running_ = false;
    running_here = outer_;
  }

private:
  loop& loop_;
  loop* outer_;
};

loop::loop(loop_options options)
    : process_(sys::current_process()),
      spin_(detail::chosen_spin(options.spin)),
      reactor_(detail::choose_reactor(options.backend, reason_)) {
  posted_ = std::make_unique<posted>(*reactor_);
  roots_ = std::make_unique<roots>();
  newcomers_ = std::make_unique<detail::spin_history>();
  can_spin();  // measures now what else the first message would have to wait for
}

loop::~loop() {
  if (attachment_) attachment_->shut_down();
  // What is destroyed may spawn and post in turn: so until nothing of either is left.
  while (discard()) {}
  // And what is there longer than the loop lets go of it.
  while (!residents_.empty()) {
    detail::resident& last = residents_.front();
    last.unlink();
    last.loop_gone();
    while (discard()) {}
  }
  attachment_.reset();
}

bool loop::discard() {
  const bool any = !roots_->empty();
  roots_->clear();
  return posted_->discard() || any;
}

void loop::come_to_this_thread() {
  if (process_ != sys::current_process())
    throw std::system_error(std::make_error_code(std::errc::operation_not_permitted),
                            "ringbell: this loop belongs to the process that was forked; a child makes its own");
  const std::uint64_t here = this_thread();
  if (thread_ == here) return;
  if (thread_ != 0) reactor_->change_thread();
  thread_ = here;
  spins_until_look_ = 0;  // it may be bound to another processor
}

std::string_view loop::backend_name() const noexcept { return reactor_->name(); }
bool loop::can_wait_on_futex() const noexcept { return reactor_->has_futex(); }
sys::native_handle loop::native_handle() {
  come_to_this_thread();
  return reactor_->pollable();
}
void loop::stop() noexcept { posted_->stop(); }
void loop::post(std::function<void()> f) { posted_->push(std::move(f)); }

void loop::spawn(task<void> t) {
  detail::task_promise<void>& root = detail::task_access::release(t).promise();
  roots_->add(root, environment(this));
  detail::loop_access::schedule(*this, root.start());
}

void loop::run() {
  const running guard(*this);
  while (!posted_->take_stop()) step();
}

void loop::run_until_idle() {
  const running guard(*this);
  const auto idle = [this] { return roots_->empty() && ready_.empty() && !posted_->attention() && !posted_->working(); };
  while (!posted_->stop_requested() && !idle()) step();
  posted_->take_stop();
}

void loop::run_until_ended(std::coroutine_handle<> main) {
  const running guard(*this);
  detail::ready_node start;
  start.waiting = main;
  ready_.push_back(start);
  while (!posted_->stop_requested() && !main.done()) step();
  posted_->take_stop();  // also when `main` has ended in the same turn: this was the run that was to stop
}

void loop::step() {
  if (ready_.empty() && !posted_->attention() && (!begin_spin() || spin(nullptr) != spun::something)) park();
  turn();
}

void loop::turn() {
  ++statistics_.turns;
  budget_ = completions_per_resume;
  posted_->run_all();

  // Those that become ready meanwhile wait for the next turn. A coroutine type that lets an exception out of resume() costs the
  // others nothing: what is left goes back, in front.
  struct batch {
    explicit batch(detail::ready_list& from) noexcept : all(from) { now.append(all); }
    ~batch() {
      now.append(all);
      all.append(now);
    }
    detail::ready_list& all;
    detail::ready_list now;
  } batch(ready_);
  int completions = 0;
  while (!batch.now.empty()) {
    detail::ready_node& node = batch.now.front();
    node.unlink();
    budget_ = completions_per_resume;
    ++resumes_since_look_;
    node.waiting.resume();
    completions += completions_per_resume - budget_;
  }
  // An operation that finds the budget spent suspends, and then it shows whether this is the loop of its coroutine.
  budget_ = 0;

  const bool much_was_done = resumes_since_look_ >= resumes_per_look;
  if (much_was_done || statistics_.turns % turns_per_clock_read == 0 || (completions >= completions_per_clock_read && long_since_look())) {
    resumes_since_look_ = 0;
    expire_timers();
    // A loop that always has something ready neither spins nor parks: so those who wait on a ring are looked after here.
    look_at_sources(true, [](detail::awake_source&) {});
  }
  statistics_.events += much_was_done ? reactor_->wait(clock::time_point::min()) : reactor_->poll();
}

bool loop::long_since_look() noexcept {
  const clock::time_point now = clock::now();
  if (now - looked_ < longest_blindness) return false;
  looked_ = now;
  return true;
}

void loop::expire_timers() {
  if (!timers_.empty()) timers_.expire(clock::now());
}

bool loop::can_spin() {
  if (spin_ == spin_policy::none) return false;
  if (spins_until_look_-- == 0) {
    only_cpu_ = sys::only_cpu();
    spins_until_look_ = spins_per_cpu_look;
    if (spin_ == spin_policy::adaptive && spin_limit_.count() == 0) spin_limit_ = detail::spin_limit();
  }
  return true;
}

/// How long a spin may go on before a driver's others have their turn. Begins with the first look at the clock: so an exchange of hot peers reads none.
class loop::slice {
public:
  bool over(clock::time_point now) noexcept {
    if (begun_ == clock::time_point()) begun_ = now;
    return now - begun_ >= detail::spin_slice;
  }

private:
  clock::time_point begun_{};
};

bool loop::begin_spin() {
  if (awake_.empty() || !can_spin()) return false;
  const bool always = spin_ == spin_policy::always;
  bool worth_it = false;
  awake_.for_each([&](detail::awake_source& source) {
    source.polled = source.pollable && (always || detail::loop_access::history_of(*this, source).worth_it());
    worth_it |= source.polled;
  });
  if (!worth_it) return false;
  ++statistics_.spins;
  spinning_ = true;
  spin_begun_ = {};
  spun_ = {};
  return true;
}

// Goes on with the spin that was begun, until it is over; or until the slice is, with `nothing_yet`.
loop::spun loop::spin(slice* within) {
  const bool always = spin_ == spin_policy::always;
  for (unsigned round = 1;; ++round) {
    if (poll_sources()) {
      ++statistics_.spins_paid;
      spun_in_vain_ = {};
      spinning_ = false;
      return spun::something;
    }
    if (posted_->attention()) break;
    if (round % detail::rounds_per_clock_read == 0) {
      statistics_.events += reactor_->poll();
      const clock::time_point now = clock::now();
      if (timers_.next() <= now) timers_.expire(now);
      if (spin_begun_ == clock::time_point()) spin_begun_ = now;
      spun_ = now - spin_begun_;
      if (!ready_.empty() || awake_.empty()) break;
      if (!always && spun_in_vain_ + spun_ >= spin_limit_) {
        spun_in_vain_ = {};
        spinning_ = false;
        awake_.for_each([this](detail::awake_source& source) {
          if (source.polled) detail::loop_access::history_of(*this, source).wasted();
        });
        return spun::nothing;
      }
      if (within && within->over(now)) return spun::nothing_yet;
    }
    if (round >= detail::rounds_before_pause) sys::pause();
  }
  return stop_spinning();
}

// Something else came first. Counted on, or a timer that is always sooner than the limit would keep a silent channel polled for ever.
loop::spun loop::stop_spinning() noexcept {
  if (std::exchange(spinning_, false)) spun_in_vain_ += spun_;
  return !ready_.empty() || posted_->attention() ? spun::something : spun::nothing;
}

bool loop::poll_sources() noexcept {
  return look_at_sources(false, [this](detail::awake_source& source) {
    detail::loop_access::history_of(*this, source).paid();
    detail::loop_access::wait_ended(source);
  });
}

// Calls `found` for those that had something, and says whether there were any. When the loop is busy, or they keep it so, parks who was silent for long.
template <class F>
bool loop::look_at_sources(bool busy, F found) noexcept {
  std::size_t looked = 0;
  bool any = false;
  bool any_silent = false;
  awake_.for_each([&](detail::awake_source& source) {
    ++looked;
    if (source.poll()) {
      source.looks_in_vain = 0;
      found(source);
      busy = any = true;
      return;
    }
    source.looks_in_vain = looked > many_sources ? looks_worth_a_park : source.looks_in_vain + 1;
    any_silent |= source.looks_in_vain >= looks_worth_a_park;
  });
  if (busy && any_silent && looked > few_sources) park_silent_sources();
  return any;
}

bool loop::prepare_to_sleep() noexcept {
  // First say "I sleep unless ..." to everybody, then the fence, then look: each of them publishes, then fences, then looks whether
  // we sleep. Of the two that look after their fences at least one sees what the other published. One fence serves all.
  awake_.for_each([](detail::awake_source& source) { source.announce(); });
  posted_->set_asleep(true);
  detail::park_fence();

  const bool attention = posted_->attention();
  return recheck_sources([](const detail::awake_source&) { return true; }) && !attention && ready_.empty();
}

void loop::park_silent_sources() noexcept {
  const auto silent = [](const detail::awake_source& source) { return source.looks_in_vain >= looks_worth_a_park; };
  awake_.for_each([&](detail::awake_source& source) {
    if (silent(source)) source.announce();
  });
  detail::park_fence();
  recheck_sources(silent);
}

// After announcing and the fence: takes those out of the list whose peers will ring. True when that was all of them.
template <class F>
bool loop::recheck_sources(F announced) noexcept {
  bool quiet = true;
  clock::time_point now{};
  awake_.for_each([&](detail::awake_source& source) {
    if (!announced(source)) return;
    source.looks_in_vain = 0;
    if (source.recheck()) {
      quiet = false;
      return;
    }
    source.unlink();
    detail::loop_access::wait_ended(source);
    // A wait that was polled for in vain has told its history already.
    if (spin_limit_.count() == 0 || std::exchange(source.polled, false)) return;
    if (now == clock::time_point()) now = clock::now();
    source.parked_at = now;
  });
  return quiet;
}

void loop::park() {
  if (prepare_to_sleep()) {
    ++statistics_.sleeps;
    statistics_.events += reactor_->wait(timers_.next());
    expire_timers();
  }
  posted_->set_asleep(false);
}

// A foreign loop is to hear of what is left, and of what comes.
void loop::arm() {
  try {
    if (!ready_.empty() || !prepare_to_sleep()) posted_->ring();
    reactor_->arm(timers_.next());
  } catch (...) {
    posted_->ring();
    armed_ = true;
    throw;
  }
  armed_ = true;
}

// The error that comes first is the one to be thrown.
void loop::arm_after_error() noexcept {
  try {
    arm();
  } catch (...) {}
}

// However a run for a foreign loop ends, also by an exception, it arms the handle.
bool loop::run_ready() {
  const running guard(*this);
  bool any = false;
  try {
    any = ready_turns();
  } catch (...) {
    arm_after_error();
    throw;
  }
  arm();
  return any;
}

bool loop::ready_turns() {
  statistics_.events += reactor_->wait(clock::time_point::min());
  expire_timers();
  int turns = 0;
  for (; turns < turns_per_run_ready && (!ready_.empty() || posted_->attention()); ++turns) turn();
  return turns > 0;
}

bool loop::drive() {
  const running guard(*this);
  try {
    if (drive_turns()) return true;
  } catch (...) {
    arm_after_error();
    throw;
  }
  try {
    arm();
  } catch (const std::system_error& e) {
    if (e.code() != std::errc::not_enough_memory) throw;
    return true;  // the next call tries it again
  }
  return false;
}

// False when there is nothing left to do, or to poll.
bool loop::drive_turns() {
  hands_over_ = false;
  // While it is called again and again it looks at the kernel as often as run() does.
  if (!std::exchange(comes_back_, false)) {
    spinning_ = false;
    statistics_.events += reactor_->wait(clock::time_point::min());
    expire_timers();
  }
  slice first;
  for (int turns = 0; turns < turns_per_run_ready; ++turns) {
    if (spinning_ && (!ready_.empty() || posted_->attention())) stop_spinning();
    if (ready_.empty() && !posted_->attention()) {
      if (!spinning_ && !begin_spin()) return false;
      if (hands_over_) break;
      const spun outcome = spin(&first);
      if (outcome == spun::nothing) return false;
      if (outcome == spun::nothing_yet) break;
    }
    turn();
  }
  return comes_back_ = true;
}

void loop::nudge() noexcept {
  armed_ = false;
  posted_->ring();
}

std::error_code detail::loop_access::watch(loop& lp, sys::native_handle h, std::uint32_t events, watch_mode mode, event_sink& sink,
                                           watch_key& key) noexcept {
  const std::error_code error = without_memory([&] { return lp.reactor_->watch(h, events, mode, sink, key); });
  lp.changed();
  return error;
}

std::error_code detail::loop_access::watch_futex(loop& lp, const sys::futex_word& word, std::uint32_t expected, event_sink& sink,
                                                 watch_key& key) noexcept {
  const std::error_code error = without_memory([&] { return lp.reactor_->watch_futex(word, expected, sink, key); });
  lp.changed();
  return error;
}

void detail::loop_access::unwatch(loop& lp, watch_key& key) noexcept {
  lp.reactor_->unwatch(key);
  lp.changed();
}

void detail::loop_access::post(loop& lp, posted_call& call) noexcept { lp.posted_->push(call); }
void detail::loop_access::work_started(loop& lp) noexcept { lp.posted_->work_started(); }
void detail::loop_access::work_finished(loop& lp) noexcept { lp.posted_->work_finished(); }

}  // namespace ringbell
