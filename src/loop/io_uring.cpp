// SPDX-License-Identifier: BSL-1.0

// The reactor on io_uring. Watches are poll requests, and their results are read from memory that
// the kernel shares.
//
// Strategy. An `edge` watch of an eventfd is one multishot poll request, which posts a completion
// at each change. A `once` watch is a single-shot request. A futex word is a FUTEX_WAIT request
// (6.7). Requests are queued in the table of watches and go to the kernel together, at the latest
// before the thread sleeps. Only unwatch() submits at once, because a pending request holds its
// file open, and closing a handle must close the file. Files whose end a peer can see are watched
// by an epoll set, which is polled by one more multishot request: see peer_set.hpp. The ring is
// made with DEFER_TASKRUN (6.1). The kernel then works on completions only when this thread enters
// it and asks for them. It never interrupts the thread, and a flag in shared memory says that there
// is something to ask for. So poll() looks at two words, and enters the kernel only when there is a
// reason.
//
// Risks.
// - SINGLE_ISSUER binds the ring to one thread, but a loop may be made on another thread than the
//   one that runs it. So the ring is made disabled, and the first thread that submits enables it
//   and so owns it. For a further thread, a new ring is made (change_thread). Any thread may enter
//   the plain ring. There the requests of a thread that has ended end with ECANCELED, and are begun
//   again.
// - A forked child shares the memory of the rings and the epoll set with its parent. It submits
//   nothing, and removes nothing from the set.
// - The kernel takes the absolute time of a timeout as a time of the first time namespace, whatever
//   namespace the caller is in. So timeouts are relative.
// - A request may end for lack of memory before it has begun. It is queued again, and goes to the
//   kernel with the next call.
// - A multishot request ends by itself when the completion queue is full (F_MORE is clear in its
//   last completion). It is queued again before its sink is called. The new request reports what is
//   there when it begins, so nothing is lost in between.
// - A multishot request on a file without readiness (a regular file) ends in the same way, but
//   would do so for ever. Such a file, which epoll refuses, gets a single-shot request.
// - When a process dies, the kernel ends its requests and releases their files some time later, in
//   the background: after 10 ms, on a busy machine after a second. The peers of its sockets would
//   learn of its death that much later. The epoll set avoids this because it holds no file.
// - A change of the epoll set is reported once, and what is left in it is not reported again. So
//   after a full batch, poll() and wait() look at the set without being told.
// - A cancellation only queues the end of the request as deferred work. unwatch() makes the kernel
//   do this work in the same call.
// - A ring with DEFER_TASKRUN does not wake a thread that sleeps in poll(2) on its descriptor
//   (6.18: the descriptor is readable when a thread looks, but nothing wakes the thread). With
//   COOP_TASKRUN the thread wakes at the next timer tick. An eventfd registered with the ring does
//   not help: when the cause is a write to another eventfd, the kernel signals it after an RCU
//   grace period, 20 ms later. Only the plain ring wakes at once, so pollable() changes to one. Its
//   price is that the foreign loop's sleep may end with EINTR.
// - Sandboxes refuse io_uring in many ways: at set-up, when entering, or single operations. So a
//   small ring is tried first, with the operation that everything depends on; see
//   io_uring_probe.cpp. What works decides, not the kernel's version.
// - Debian 12's liburing (2.3) lacks some of what is used here; those numbers are repeated under
//   their kernel names.

#include "ask_until.hpp"
#include "io_uring_probe.hpp"
#include "kernel_ring.hpp"
#include "peer_set.hpp"
#include "reactor.hpp"
#include "watch_table.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>
#include <ringbell/time_limit.hpp>

#include <liburing.h>
#include <poll.h>
#include <sys/epoll.h>
#include <algorithm>
#include <cerrno>
#include <utility>

namespace ringbell::detail {
namespace {

using std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

// The keys of the reactor's own requests, besides nobodys_key. Timers count up from first_timer, so
// that a completion of an earlier timer is not taken for that of the present one.
constexpr std::uint64_t poll_of_peers = 1;
constexpr std::uint32_t first_timer = 2;

unsigned to_poll(std::uint32_t events) noexcept {
  unsigned mask = POLLRDHUP;  // the kernel adds POLLHUP and POLLERR
  if (events & event_read) mask |= POLLIN;
  if (events & event_write) mask |= POLLOUT;
  return mask;
}

std::uint32_t from_poll(unsigned mask) noexcept {
  std::uint32_t events = 0;
  if (mask & (POLLIN | POLLPRI)) events |= event_read;
  if (mask & POLLOUT) events |= event_write;
  if (mask & (POLLHUP | POLLRDHUP)) events |= event_hangup;
  if (mask & POLLERR) events |= event_error;
  return events;
}

struct uring_slot : watch_slot {
  const sys::futex_word* word = nullptr;  // when set, `events` is its expected value
  bool in_kernel = false;                 // the ring has a request for it
  bool in_peer_set = false;
  bool always_ready = false;
  sys::handle second;  // in the set in place of `handle`
};

class io_uring_reactor final : public reactor {
public:
  /// Makes the ring and the set, or says what failed.
  std::error_code make(ring_features features, std::string& why_not);

  std::string_view name() const noexcept override { return "io_uring"; }
  std::string_view reason() const noexcept override { return reason_; }
  bool has_futex() const noexcept override { return ring_.features().futex; }

  std::error_code watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                        event_sink& sink, watch_key& key) override;
  std::error_code watch_futex(const sys::futex_word& word, std::uint32_t expected, event_sink& sink,
                              watch_key& key) override;
  void unwatch(watch_key& key) noexcept override;
  std::size_t poll() override;
  std::size_t wait(time_point until) override;
  sys::native_handle pollable() override;
  void arm(time_point due) override;
  void change_thread() override {
    if (!ring_.plain()) make_anew(ring_.features().flags);
  }

private:
  bool in_forked_child() const noexcept { return process_ != sys::current_process(); }
  bool has_requests() const noexcept;
  void make_anew(unsigned flags);
  bool set_timer(time_point due) noexcept;
  void submit_and_finish() noexcept { ring_.submit_and_finish(watches_.size()); }
  void enter();
  bool prepare(uring_slot& slot) noexcept;
  bool prepare_queued() noexcept;
  std::size_t deliver();
  bool deliver(const kernel_ring::completion& c);
  bool deliver_peer(std::uint64_t key, std::uint32_t mask);
  void leave_peer_set(uring_slot& slot) noexcept;
  bool poll_peers() noexcept;
  std::uint32_t events_of(uring_slot& slot, const kernel_ring::completion& c) noexcept;

  kernel_ring ring_;
  std::string reason_;
  // Queued watches are to be requested from the kernel, or cancelled there.
  watch_table<uring_slot> watches_;
  peer_set peers_;
  bool peers_polled_ = false;  // the ring has the request for the set
  std::uint32_t timer_ = first_timer;
  __kernel_timespec timer_due_{};
  time_point armed_ = time_point::max();
  const std::uint64_t process_ = sys::current_process();
};

std::string text_of(const ring_features& features) {
  std::string text = "io_uring, ";
  if (features.flags & IORING_SETUP_DEFER_TASKRUN)
    text += "deferred completions";
  else if (features.flags & IORING_SETUP_COOP_TASKRUN)
    text += "cooperative completions (kernel before 6.1)";
  else
    text += "plain (kernel before 5.19)";
  return text +
         (features.futex ? ", futex waits" : ", no futex waits (kernel before 6.7, or forbidden)");
}

std::error_code io_uring_reactor::make(ring_features features, std::string& why_not) {
  const auto failed = [&](const char* call, std::error_code error) {
    why_not = std::string(call) + ": " + error.message();
    return error;
  };
  if (const int result = ring_.make(features); result < 0)
    return failed("io_uring_setup", system_error_of(result));
  reason_ = text_of(features);
  if (const std::error_code error = peers_.make()) return failed("epoll_create1", error);
  return {};
}

std::error_code io_uring_reactor::watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                                        event_sink& sink, watch_key& key) {
  uring_slot& slot = watches_.open(sink);
  slot.handle = h;
  slot.events = events;
  slot.mode = mode;
  // Even a handle that the ring is going to poll is first added to the set, because only epoll
  // tells which files are always ready.
  const std::uint32_t mask = to_poll(events) | (mode == watch_mode::edge ? EPOLLET : EPOLLONESHOT);
  const std::error_code error = peers_.add(h, mask, watches_.key_of(slot).value, slot.second);
  slot.in_peer_set = !error;
  slot.always_ready = error == std::errc::operation_not_permitted;
  if (error && !slot.always_ready) {
    watches_.close(slot);
    return error;
  }
  if (slot.in_peer_set && !peer_set::takes(h)) leave_peer_set(slot);
  if (!slot.in_peer_set) watches_.push(slot);
  key = watches_.key_of(slot);
  return {};
}

void io_uring_reactor::leave_peer_set(uring_slot& slot) noexcept {
  if (!in_forked_child()) peers_.remove(slot.second ? slot.second.get() : slot.handle);
  slot.second.reset();
  slot.in_peer_set = false;
}

std::error_code io_uring_reactor::watch_futex(const sys::futex_word& word, std::uint32_t expected,
                                              event_sink& sink, watch_key& key) {
  if (!has_futex()) return errc::not_supported;
  uring_slot& slot = watches_.open(sink);
  slot.word = &word;
  slot.events = expected;
  slot.mode = watch_mode::once;
  watches_.push(slot);
  key = watches_.key_of(slot);
  return {};
}

void io_uring_reactor::unwatch(watch_key& key) noexcept {
  uring_slot* const slot = watches_.find(key.value);
  key = {};
  if (slot == nullptr) return;
  if (slot->in_peer_set) {
    leave_peer_set(*slot);
    watches_.close(*slot);
    return;
  }
  slot->sink = nullptr;
  if (in_forked_child()) return;
  if (!slot->in_kernel || !prepare(*slot)) {
    watches_.push(*slot);
    return;
  }
  watches_.close(*slot);
  submit_and_finish();
}

// Prepares the request that a queued slot needs. Returns false when the submission queue is full
// and the kernel accepts nothing.
bool io_uring_reactor::prepare(uring_slot& slot) noexcept {
  io_uring_sqe* const entry = ring_.next_entry();
  if (entry == nullptr) return false;
  const std::uint64_t key = watches_.key_of(slot).value;
  if (slot.sink == nullptr) {
    ::io_uring_prep_cancel64(entry, key, 0);
    ::io_uring_sqe_set_data64(entry, nobodys_key);
    return true;
  }
  if (slot.word != nullptr) {
    prepare_futex_wait(entry, *slot.word, slot.events);
  } else if (slot.mode == watch_mode::edge && !slot.always_ready) {
    ::io_uring_prep_poll_multishot(entry, slot.handle, to_poll(slot.events));
  } else {
    ::io_uring_prep_poll_add(entry, slot.handle, to_poll(slot.events));
  }
  ::io_uring_sqe_set_data64(entry, key);
  slot.in_kernel = true;
  return true;
}

bool io_uring_reactor::poll_peers() noexcept {
  io_uring_sqe* const entry = ring_.next_entry();
  if (entry == nullptr) return false;
  ::io_uring_prep_poll_multishot(entry, peers_.handle(), POLLIN);
  ::io_uring_sqe_set_data64(entry, poll_of_peers);
  peers_polled_ = true;
  return true;
}

bool io_uring_reactor::prepare_queued() noexcept {
  if (!peers_polled_ && !poll_peers()) return false;
  while (watches_.queued() != 0) {
    uring_slot& slot = watches_.front();
    const bool ended = slot.sink == nullptr;
    if (ended == slot.in_kernel && !prepare(slot)) return false;
    watches_.pop();
    if (ended) watches_.close(slot);
  }
  return true;
}

// Submits everything, and makes the kernel post completions. During an overflow it prepares
// nothing: a new request that has something to report could not report it then, and would end and
// be queued again. With more ready watches than the queue holds, this would go on for ever.
void io_uring_reactor::enter() {
  ring_.enable();
  if (!ring_.overflowed()) prepare_queued();
  ring_.enter();
}

bool io_uring_reactor::has_requests() const noexcept {
  return !peers_polled_ || watches_.queued() != 0 || ring_.has_entries();
}

std::size_t io_uring_reactor::poll() {
  if (has_requests() || ring_.kernel_has_work()) enter();
  return deliver();
}

std::size_t io_uring_reactor::wait(time_point until) {
  return ask_until(until, [this](nanoseconds limit) {
    if (has_requests() || ring_.kernel_has_work()) enter();
    if (const std::size_t events = deliver()) return events;
    ring_.enable();
    ring_.sleep(has_requests() || peers_.has_more() ? nanoseconds(0) : limit);
    return deliver();
  });
}

std::size_t io_uring_reactor::deliver() {
  std::size_t delivered = 0;
  // Counted first: completions that come meanwhile (sinks write, and unwatch() enters the kernel)
  // have their turn in the next call.
  kernel_ring::completion c{};
  for (unsigned left = ring_.completions(); left != 0 && ring_.take(c); --left) {
    if (c.key == poll_of_peers) {
      peers_polled_ = c.goes_on;
      peers_.notice();
    } else if (deliver(c)) {
      ++delivered;
    }
  }
  if (peers_.has_more())
    delivered += peers_.collect(
        [this](std::uint64_t key, std::uint32_t mask) { return deliver_peer(key, mask); });
  return delivered;
}

bool io_uring_reactor::deliver_peer(std::uint64_t key, std::uint32_t mask) {
  uring_slot* const slot = watches_.find(key);
  if (slot == nullptr) return false;
  event_sink* const sink = slot->sink;
  if (slot->mode == watch_mode::once) {
    leave_peer_set(*slot);
    watches_.close(*slot);
  }
  sink->on_event(from_poll(mask));
  return true;
}

bool io_uring_reactor::deliver(const kernel_ring::completion& c) {
  if (c.key == timer_) armed_ = time_point::max();
  uring_slot* const slot = watches_.find(c.key);
  if (slot == nullptr) return false;
  slot->in_kernel = c.goes_on;
  if (!c.goes_on && (c.result == -ENOMEM || c.result == -ECANCELED)) {
    watches_.push(*slot);
    return false;
  }
  const std::uint32_t events = events_of(*slot, c);
  event_sink* const sink = slot->sink;
  if (slot->mode == watch_mode::once) watches_.close(*slot);
  sink->on_event(events);
  return true;
}

std::uint32_t io_uring_reactor::events_of(uring_slot& slot,
                                          const kernel_ring::completion& c) noexcept {
  if (slot.word != nullptr && (c.result == 0 || c.result == -EAGAIN)) return event_read;
  if (c.result < 0) return refused_with(static_cast<unsigned>(-c.result));
  if (!c.goes_on && slot.mode == watch_mode::edge && !slot.always_ready) watches_.push(slot);
  return from_poll(static_cast<unsigned>(c.result));
}

sys::native_handle io_uring_reactor::pollable() {
  if (!ring_.plain()) make_anew(ring_.features().flags & IORING_SETUP_SUBMIT_ALL);
  return ring_.descriptor();
}

// Moves the watches to another ring. What the old ring has not delivered is not lost, because new
// polls report what is there.
void io_uring_reactor::make_anew(unsigned flags) {
  kernel_ring fresh;
  ring_features features = ring_.features();
  features.flags = flags;
  if (const int result = fresh.make(features); result < 0)
    throw std::system_error(system_error_of(result), "ringbell: io_uring_setup");
  const bool in_use = ring_.enabled();
  const time_point due = std::exchange(armed_, time_point::max());
  // A closed ring ends its requests some time later, and would hold their files until then. A ring
  // that belongs to another thread refuses the cancellation.
  if (io_uring_sqe* const entry = in_use ? ring_.next_entry() : nullptr) {
    ::io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
    ::io_uring_sqe_set_data64(entry, nobodys_key);
    submit_and_finish();
  }
  ring_ = std::move(fresh);
  peers_polled_ = false;

  // The old ring may have consumed the only wake of a futex word. So the new request gets a word
  // that certainly differs, and reports a wake, possibly without a reason.
  static const sys::futex_word zero{0};
  watches_.for_each([this](uring_slot& slot) {
    if (!slot.in_kernel) return;
    slot.in_kernel = false;
    if (slot.sink == nullptr) return;
    if (slot.word != nullptr) {
      slot.word = &zero;
      slot.events = 1;
    }
    watches_.push(slot);
  });
  if (in_use) arm(due);
}

void io_uring_reactor::arm(time_point due) {
  ring_.enable();
  if (peers_.has_more()) due = time_point::min();
  // The foreign loop is not told of anything that the kernel has not accepted. When there are
  // completions, it is told of these, and calls again.
  for (int attempts = 100;; --attempts) {
    const bool set = set_timer(due);
    if (has_requests()) enter();
    if (set && (!has_requests() || ring_.completions() != 0)) return;
    if (attempts == 0)
      throw std::system_error(system_error_of(-EAGAIN), "ringbell: io_uring_enter");
  }
}

// Returns false when the submission queue is full and the kernel accepts nothing.
bool io_uring_reactor::set_timer(time_point due) noexcept {
  if (due != armed_ && armed_ != time_point::max()) {
    io_uring_sqe* const entry = ring_.next_entry();
    if (entry == nullptr) return false;
    ::io_uring_prep_timeout_remove(entry, timer_, 0);
    ::io_uring_sqe_set_data64(entry, nobodys_key);
    armed_ = time_point::max();
  }
  if (due == armed_) return true;
  io_uring_sqe* const entry = ring_.next_entry();
  if (entry == nullptr) return false;
  timer_due_ = to_timespec(time_left(due));
  if (++timer_ == nobodys_key) timer_ = first_timer;
  ::io_uring_prep_timeout(entry, &timer_due_, 0, 0);
  ::io_uring_sqe_set_data64(entry, timer_);
  armed_ = due;
  return true;
}

}  // namespace

std::unique_ptr<reactor> make_io_uring_reactor(std::error_code& error, std::string& why_not,
                                               std::size_t skip) {
  ring_features features;
  error = try_io_uring(skip, features, why_not);
  if (error) return nullptr;
  auto made = std::make_unique<io_uring_reactor>();
  error = made->make(features, why_not);
  if (error) return nullptr;
  return made;
}

}  // namespace ringbell::detail
