// SPDX-License-Identifier: BSL-1.0

// The reactor on epoll, which works on every kernel and in every sandbox.
//
// Strategy. An `edge` watch is EPOLLET: the kernel reports each change of a handle once, so an
// eventfd need not be read. A `once` watch is level-triggered. It is removed when it has fired,
// before its sink is called, so that the sink may watch again or close the handle.
//
// Risks.
// - epoll identifies a watch by its open file and descriptor, and refuses a second one with EEXIST.
//   This happens when one coroutine reads a socket and another writes it. The second watch gets a
//   descriptor of its own (dup), which its slot owns.
// - epoll refuses regular files with EPERM because they are always ready. Such a watch is put into
//   the queue, and delivered from there.
// - epoll_wait rounds to milliseconds; epoll_pwait2 (5.11) does not. Without it the time is rounded
//   up, because a wait that ends too early would make a loop that waits for a timer spin.
// - No event can be noticed without a system call. poll() is called on every turn of the loop, and
//   must not make a system call each time; see look_pace.hpp for how long it may be blind.

#include "asking_reactor.hpp"
#include "sys/posix/syscall.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/limit.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <fcntl.h>
#include <linux/time_types.h>
#include <sys/epoll.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <utility>

namespace ringbell::detail {
namespace {

using std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

std::uint32_t to_epoll(std::uint32_t events, watch_mode mode) noexcept {
  std::uint32_t mask = EPOLLRDHUP;
  if (events & event_read) mask |= EPOLLIN;
  if (events & event_write) mask |= EPOLLOUT;
  if (mode == watch_mode::edge) mask |= EPOLLET;
  return mask;
}

std::uint32_t from_epoll(std::uint32_t mask) noexcept {
  std::uint32_t events = 0;
  if (mask & (EPOLLIN | EPOLLPRI)) events |= event_read;
  if (mask & EPOLLOUT) events |= event_write;
  if (mask & (EPOLLHUP | EPOLLRDHUP)) events |= event_hangup;
  if (mask & EPOLLERR) events |= event_error;
  return events;
}

struct epoll_slot : watch_slot {
  bool registered = false;  // it is in the epoll set
  sys::handle owned;        // the dup, when `handle` was already in the set
};

// Queued are the watches that are always ready, and not yet delivered.
class epoll_reactor final : public asking_reactor<epoll_slot> {
public:
  explicit epoll_reactor(sys::handle set) noexcept : set_(std::move(set)) {}

  std::string_view name() const noexcept override { return "epoll"; }
  std::string_view reason() const noexcept override {
    return has_pwait2_ ? "epoll with nanosecond waits; no futex waits"
                       : "epoll with millisecond waits (kernel before 5.11); no futex waits";
  }

  std::error_code watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                        event_sink& sink, watch_key& key) override;
  void unwatch(watch_key& key) noexcept override;
  sys::native_handle pollable() override {
    if (!timer_) make_timer();
    return set_.get();
  }
  void arm(time_point due) override;

  /// Determines whether epoll_pwait2 works.
  void probe() noexcept;

private:
  void make_timer();
  int sleep(nanoseconds limit) noexcept;
  std::size_t ask(nanoseconds limit) override;
  std::uint32_t events_of_queued(epoll_slot& slot) override { return slot.events; }
  void end_watch(epoll_slot& slot) noexcept override;

  sys::handle set_;
  sys::handle timer_;
  time_point armed_ = time_point::max();
  std::array<epoll_event, 128> batch_;
  const std::uint64_t process_ = sys::current_process();
  bool has_pwait2_ = true;
};

void epoll_reactor::probe() noexcept {
  // Old sandboxes return EPERM for a call that they do not know, so every error means "no".
  has_pwait2_ = sleep(nanoseconds(0)) == 0;
}

std::error_code epoll_reactor::watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                                     event_sink& sink, watch_key& key) {
  epoll_slot& slot = watches_.open(sink);
  slot.handle = h;
  slot.events = events;
  slot.mode = mode;
  epoll_event request{};
  request.events = to_epoll(events, mode);
  request.data.u64 = watches_.key_of(slot).value;
  int result = ::epoll_ctl(set_.get(), EPOLL_CTL_ADD, h, &request);
  if (result != 0 && errno == EEXIST) {
    slot.owned = sys::handle(::fcntl(h, F_DUPFD_CLOEXEC, 0));
    if (slot.owned) result = ::epoll_ctl(set_.get(), EPOLL_CTL_ADD, slot.owned.get(), &request);
  }
  if (result == 0) {
    slot.registered = true;
  } else if (errno == EPERM) {
    watches_.push(slot);
  } else {
    const std::error_code error = sys::last_error();
    end_watch(slot);
    return error;
  }
  key = watches_.key_of(slot);
  return {};
}

void epoll_reactor::unwatch(watch_key& key) noexcept {
  if (epoll_slot* slot = watches_.find(key.value)) end_watch(*slot);
  key = {};
}

void epoll_reactor::end_watch(epoll_slot& slot) noexcept {
  // A forked child shares the set with its parent, and must not remove the parent's watches from
  // it.
  if (slot.registered && process_ == sys::current_process())
    ::epoll_ctl(set_.get(), EPOLL_CTL_DEL, slot.owned ? slot.owned.get() : slot.handle, nullptr);
  slot.sink = nullptr;
  if (!slot.queued) watches_.close(slot);
}

std::size_t epoll_reactor::ask(nanoseconds limit) {
  const int count = sleep(limit);
  if (count < 0 && errno != EINTR) throw std::system_error(sys::last_error(), "epoll_wait");
  pace_.looked(count == static_cast<int>(batch_.size()));

  std::size_t delivered = deliver_queued();
  for (int i = 0; i < count; ++i) {
    const epoll_event& event = batch_[static_cast<std::size_t>(i)];
    if (event.data.u64 == timer_key) {
      std::uint64_t expirations;
      // When there is nothing to read, the timer was set again after this event was queued.
      if (::read(timer_.get(), &expirations, sizeof(expirations)) > 0) armed_ = time_point::max();
      continue;
    }
    epoll_slot* slot = watches_.find(event.data.u64);
    if (slot == nullptr) continue;
    deliver(*slot, from_epoll(event.events));
    ++delivered;
  }
  return delivered;
}

int epoll_reactor::sleep(nanoseconds limit) noexcept {
  const int capacity = static_cast<int>(batch_.size());
  if (has_pwait2_) {
    __kernel_timespec time{};
    time.tv_sec = limit.count() / 1'000'000'000;
    time.tv_nsec = limit.count() % 1'000'000'000;
    // Called by number, so that it works with a C library that is older than the kernel.
    return static_cast<int>(::syscall(SYS_epoll_pwait2, set_.get(), batch_.data(), capacity,
                                      limit == nanoseconds::max() ? nullptr : &time, nullptr,
                                      std::size_t{0}));
  }
  int milliseconds = -1;
  if (limit != nanoseconds::max()) {
    const auto rounded = std::chrono::ceil<std::chrono::milliseconds>(
        std::min<nanoseconds>(limit, std::chrono::hours(24)));
    milliseconds = static_cast<int>(rounded.count());
  }
  return ::epoll_wait(set_.get(), batch_.data(), capacity, milliseconds);
}

void epoll_reactor::make_timer() {
  timer_ = sys::handle(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!timer_) throw sys::failure(sys::last_error(), "ringbell: timerfd_create");
  epoll_event request{};
  request.events = EPOLLIN;
  request.data.u64 = timer_key;
  if (::epoll_ctl(set_.get(), EPOLL_CTL_ADD, timer_.get(), &request) != 0) {
    const std::error_code error = sys::last_error();
    timer_.reset();
    throw std::system_error(error, "epoll_ctl");
  }
}

void epoll_reactor::arm(time_point due) {
  pace_.hurry();
  if (watches_.queued() != 0) due = time_point::min();
  if (due == armed_) return;
  if (!timer_) make_timer();
  itimerspec setting{};  // all zero: never
  if (due != time_point::max()) {
    const auto since = std::max(due.time_since_epoch(), clock::duration(1));
    setting.it_value.tv_sec = static_cast<time_t>(since.count() / 1'000'000'000);
    setting.it_value.tv_nsec = static_cast<long>(since.count() % 1'000'000'000);
  }
  if (::timerfd_settime(timer_.get(), TFD_TIMER_ABSTIME, &setting, nullptr) != 0)
    throw std::system_error(sys::last_error(), "timerfd_settime");
  armed_ = due;
}

}  // namespace

std::unique_ptr<reactor> make_epoll_reactor(std::error_code& error) {
  error.clear();
  sys::handle set(::epoll_create1(EPOLL_CLOEXEC));
  if (!set) {
    error = sys::last_error();
    return nullptr;
  }
  auto made = std::make_unique<epoll_reactor>(std::move(set));
  made->probe();
  return made;
}

}  // namespace ringbell::detail
