// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/loop.hpp>

#include "reactors.hpp"
#include "remote_queue.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/loop/detail/loop_access.hpp>
#include <ringbell/ring/detail/park_fence.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <atomic>
#include <exception>
#include <new>
#include <utility>

namespace ringbell {

using namespace detail::tuning;

namespace {

// The number of this thread, counted from 1. Unlike a thread id of the system it is never reused.
std::uint64_t this_thread() noexcept {
  static std::atomic<std::uint64_t> last{0};
  thread_local const std::uint64_t number = last.fetch_add(1, std::memory_order_relaxed) + 1;
  return number;
}

// Returns a lack of memory as an error like others. Code that begins a watch as part of other work
// has no caller to which it could throw.
template <class F>
std::error_code without_memory(F watch) noexcept {
  try {
    return watch();
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

}  // namespace

class loop::roots final : public detail::task_owner {
public:
  void add(detail::task_promise<void>& root, coroutine_context context) noexcept {
    list_.add(root, *this, context);
  }
  bool empty() const noexcept { return list_.empty(); }
  void clear() noexcept { list_.clear(); }

private:
  void ended(detail::task_promise<void>& root) noexcept override {
    if (const std::exception_ptr error = root.take_error())
      std::rethrow_exception(error);  // terminates, and names the exception
    detail::task_list::destroy(root);
  }
  detail::task_list list_;
};

class loop::running {
public:
  explicit running(loop& lp) : loop_(lp) {
    if (lp.place_.running)
      throw std::system_error(errc::busy, "ringbell: this loop is running already");
    lp.come_to_this_thread();
    outer_ = detail::scheduler_access::exchange_current(&lp);
    lp.place_.running = true;
    lp.armed_ = false;
    lp.remote_->set_asleep(false);
  }
  running(const running&) = delete;
  running& operator=(const running&) = delete;
  ~running() {
    loop_.place_.running = false;
    detail::scheduler_access::exchange_current(outer_);
  }

private:
  loop& loop_;
  detail::scheduler* outer_;
};

loop::loop(loop_options options)
    : place_{.process = sys::current_process()},
      sources_(options.spin),
      reactor_(detail::choose_reactor(options.backend, reason_)) {
  remote_ = std::make_unique<remote_queue>(*reactor_);
  roots_ = std::make_unique<roots>();
}

loop::~loop() {
  if (attachment_) attachment_->shut_down();
  // Destroying these may spawn and post again, so it is repeated until nothing is left.
  while (discard()) {}
  // Objects that outlive the loop release what they have there.
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
  return remote_->discard() || any;
}

void loop::come_to_this_thread() {
  if (place_.process != sys::current_process())
    throw std::system_error(
        std::make_error_code(std::errc::operation_not_permitted),
        "ringbell: this loop belongs to the process that was forked; a child makes its own");
  const std::uint64_t here = this_thread();
  if (place_.thread == here) return;
  if (place_.thread != 0) reactor_->change_thread();
  place_.thread = here;
  sources_.thread_changed();
}

std::string_view loop::backend_name() const noexcept { return reactor_->name(); }
bool loop::can_wait_on_futex() const noexcept { return reactor_->has_futex(); }
sys::native_handle loop::native_handle() {
  come_to_this_thread();
  return reactor_->pollable();
}
void loop::stop() noexcept { remote_->stop(); }
void loop::post(std::function<void()> f) { remote_->push(std::move(f)); }

void loop::spawn(task<void> t) {
  detail::task_promise<void>& root = detail::task_access::release(t).promise();
  roots_->add(root, coroutine_context(this));
  detail::loop_access::schedule(*this, root.start());
}

void loop::run() {
  const running guard(*this);
  while (!remote_->take_stop()) step();
}

void loop::run_until_idle() {
  const running guard(*this);
  const auto idle = [this] {
    return roots_->empty() && ready_.empty() && !remote_->attention() && !remote_->working();
  };
  while (!remote_->stop_requested() && !idle()) step();
  remote_->take_stop();
}

void loop::run_until_ended(std::coroutine_handle<> main) {
  const running guard(*this);
  detail::ready_node start;
  start.waiting = main;
  ready_.push_back(start);
  while (!remote_->stop_requested() && !main.done()) step();
  // Also when `main` has ended in the same turn: the stop was meant for this run.
  remote_->take_stop();
}

inline bool loop::something_to_run() const noexcept {
  return !ready_.empty() || remote_->attention();
}

inline bool loop::begin_spin() {
  if (!sources_.begin_spin()) return false;
  ++statistics_.spins;
  return true;
}

// Called after a turn. A loop that always has something ready neither spins nor parks. So this
// function serves the coroutines that wait for a time, for a ring or for the kernel.
inline void loop::look_up(int completions) {
  const auto long_since = [this] {
    const clock::time_point now = clock::now();
    if (now - looked_.at < longest_blindness) return false;
    looked_.at = now;
    return true;
  };
  const bool much_was_done = looked_.resumes_since >= resumes_per_look;
  if (much_was_done || statistics_.turns % turns_per_clock_read == 0 ||
      (completions >= completions_per_clock_read && long_since())) {
    looked_.resumes_since = 0;
    expire_timers();
    sources_.look_while_busy();
  }
  statistics_.events += much_was_done ? reactor_->wait(clock::time_point::min()) : reactor_->poll();
}

void loop::step() {
  if (!something_to_run()) {
    const bool spun = begin_spin();
    if (spun) spin(nullptr);
    if (!spun || !something_to_run()) park();
  }
  turn();
}

void loop::turn() {
  ++statistics_.turns;
  budget_ = completions_per_resume;
  remote_->run_all();

  // Coroutines that become ready meanwhile wait for the next turn. When a coroutine type lets an
  // exception out of resume(), no other coroutine is lost: the rest goes back to the front of the
  // list.
  struct batch {
    explicit batch(detail::run_queue& from) noexcept : all(from) { now.append(all); }
    ~batch() {
      now.append(all);
      all.append(now);
    }
    detail::run_queue& all;
    detail::run_queue now;
  } batch(ready_);
  int completions = 0;
  while (!batch.now.empty()) {
    detail::ready_node& node = batch.now.front();
    node.unlink();
    budget_ = completions_per_resume;
    ++looked_.resumes_since;
    node.waiting.resume();
    completions += completions_per_resume - budget_;
  }
  // The budget is now spent, so the next operation suspends, and then finds out whether this is its
  // coroutine's loop.
  budget_ = 0;

  look_up(completions);
}

void loop::expire_timers() {
  if (!timers_.empty()) timers_.expire(clock::now());
}

bool loop::spin(detail::spin_turn* within) {
  const auto outcome = sources_.run_spin(
      within, [this] { return remote_->attention(); },
      [this](clock::time_point now) {
        statistics_.events += reactor_->poll();
        if (timers_.next() <= now) timers_.expire(now);
        return !ready_.empty();
      });
  statistics_.spins_paid += outcome == detail::spinner::outcome::found;
  return outcome == detail::spinner::outcome::turn_is_over;
}

bool loop::prepare_to_sleep() noexcept {
  // First tell all peers and posters "I sleep unless ...", then the fence, then look. Each of them
  // publishes, then has its fence, then looks whether we sleep. At least one of the two that look
  // after their fences sees what the other has published. One fence serves all.
  sources_.announce_all();
  remote_->set_asleep(true);
  detail::park_fence();

  const bool attention = remote_->attention();
  return sources_.recheck_all() && !attention && ready_.empty();
}

void loop::park() {
  if (prepare_to_sleep()) {
    ++statistics_.sleeps;
    statistics_.events += reactor_->wait(timers_.next());
    expire_timers();
  }
  remote_->set_asleep(false);
}

// Arms the native handle, so that a foreign loop learns of the work that is left and of new events.
void loop::arm() {
  try {
    if (!ready_.empty() || !prepare_to_sleep()) remote_->ring();
    reactor_->arm(timers_.next());
  } catch (...) {
    remote_->ring();
    armed_ = true;
    throw;
  }
  armed_ = true;
}

// The first error is the one that is thrown.
void loop::arm_after_error() noexcept {
  try {
    arm();
  } catch (...) {}
}

// A run for a foreign loop arms the handle however it ends, even by an exception.
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
  for (; turns < turns_per_run_ready && something_to_run(); ++turns) turn();
  return turns > 0;
}

bool loop::drive(bool hands_over) {
  const running guard(*this);
  try {
    if (drive_turns(hands_over)) return true;
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

// Returns false when there is nothing left to do or to poll. With `hands_over`, a call in which a
// turn ran does not poll the rings, because that turn may have given work to the foreign loop.
bool loop::drive_turns(bool hands_over) {
  place_.hands_over = false;
  // As long as it is called again and again, it looks at the kernel as often as run() does.
  if (!std::exchange(place_.comes_back, false)) {
    sources_.stop_spin();
    statistics_.events += reactor_->wait(clock::time_point::min());
    expire_timers();
  }
  detail::spin_turn first;
  for (int turns = 0; turns < turns_per_run_ready; ++turns) {
    if (something_to_run()) {
      sources_.interrupt_spin();
    } else {
      if (hands_over && turns > 0) break;
      if (!sources_.spinning() && !begin_spin()) return false;
      if (place_.hands_over) break;
      if (spin(&first)) break;
      if (!something_to_run()) return false;
    }
    turn();
  }
  return place_.comes_back = true;
}

void loop::nudge() noexcept {
  armed_ = false;
  remote_->ring();
}

std::error_code detail::loop_access::watch(loop& lp, sys::native_handle h, std::uint32_t events,
                                           watch_mode mode, event_sink& sink,
                                           watch_key& key) noexcept {
  const std::error_code error =
      without_memory([&] { return lp.reactor_->watch(h, events, mode, sink, key); });
  lp.changed();
  return error;
}

std::error_code detail::loop_access::watch_futex(loop& lp, const sys::futex_word& word,
                                                 std::uint32_t expected, event_sink& sink,
                                                 watch_key& key) noexcept {
  const std::error_code error =
      without_memory([&] { return lp.reactor_->watch_futex(word, expected, sink, key); });
  lp.changed();
  return error;
}

void detail::loop_access::unwatch(loop& lp, watch_key& key) noexcept {
  lp.reactor_->unwatch(key);
  lp.changed();
}

void detail::loop_access::post(loop& lp, posted_call& call) noexcept { lp.remote_->push(call); }
void detail::loop_access::work_started(loop& lp) noexcept { lp.remote_->work_started(); }
void detail::loop_access::work_finished(loop& lp) noexcept { lp.remote_->work_finished(); }

}  // namespace ringbell
