// SPDX-License-Identifier: BSL-1.0

// The reactor on kqueue: macOS and the BSDs.
//
// Strategy. A watch is one or two events of a kqueue, EVFILT_READ and EVFILT_WRITE, with EV_CLEAR:
// each change of a handle is reported once, so a bell need not be read. The changes that watch()
// and unwatch() make are put into a list, which the next kevent() submits. So beginning and ending
// a watch cost no system call of their own. That is safe for two reasons. Closing a descriptor
// removes its events from the kqueue at once, whatever is still in the list. And the list keeps its
// order: when the number of a descriptor comes back as another file, the end of the old watch goes
// to the kernel before the beginning of the new one. When another thread has got the number, the
// end finds nothing to end.
//
// Risks.
// - kqueue identifies an event by descriptor and filter, and a second one silently replaces the
//   first. So the reactor knows which descriptors it watches, and gives a second watch a descriptor
//   of its own (dup), which its slot owns.
// - The end of a peer's sending side shows in EVFILT_READ only. Whoever does not want to read is
//   watched by it all the same, with a low water mark that no buffer reaches (NOTE_LOWAT), and what
//   it reports beside the end is dropped here.
// - EVFILT_READ says of a regular file whether it is at its end, and not that reading it never
//   blocks. Such a file is not put into the kqueue but into the queue of those that are always
//   ready, and delivered from there.
// - A change that the kernel refuses takes the place of an event, with EV_ERROR; where there is
//   none, kevent() fails and forgets the rest. So the list is never longer than the room for
//   events. A list that has to go before the thread sleeps goes with EV_RECEIPT, which reports on
//   each change and takes no event along.
// - kevent() that ends with EINTR has done all changes (kevent(2)): the list is empty then, too.
//   One that fails for want of memory may have done some of them: the list stays, and goes with the
//   next call, because each change may be made twice.
// - A watch that is refused for want of memory begins again, a millisecond later.
// - A kqueue is not inherited by a forked child: its number may be another file there, and is not
//   closed.
// - Nothing tells without a system call that an event is there: see look_pace.hpp.
// - Other threads do not touch this kqueue. To be woken from them, a loop watches a bell
//   (sys/bell.hpp), which on these systems is an EVFILT_USER event in a small kqueue of its own.
//   That is one descriptor, and a thread that has only the bell can trigger it.

#include "asking_reactor.hpp"
#include "sys/posix/syscall.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <fcntl.h>
#include <sys/event.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <time.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <cerrno>
#include <cstddef>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

namespace ringbell::detail {
namespace {

using std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

constexpr std::uintptr_t timer_ident = 1;

// Some kernels refuse a longer time. A longer wait than this wakes once a day.
constexpr nanoseconds longest_wait = std::chrono::hours(24);

constexpr int lowat_never = std::numeric_limits<int>::max();

static_assert(sizeof(void*) >= sizeof(std::uint64_t), "a key travels as the user data of an event");

std::uint64_t key_in(const struct kevent& event) noexcept {
  return reinterpret_cast<std::uintptr_t>(event.udata);
}

// Files that never block, and that a kqueue does not report as always ready.
bool always_ready(mode_t mode) noexcept { return S_ISREG(mode) || S_ISDIR(mode) || S_ISBLK(mode); }

std::uint32_t from_kevent(const struct kevent& event) noexcept {
  if (event.flags & EV_ERROR)
    return event.data == 0 ? 0U : refused_with(static_cast<unsigned>(event.data));
  std::uint32_t events = event.filter == EVFILT_WRITE ? event_write : event_read;
  // For a socket, fflags has its error.
  if (event.flags & EV_EOF) events |= event.fflags != 0 ? event_hangup | event_error : event_hangup;
  return events;
}

/// A kqueue. In a forked child, which does not inherit it, it does nothing.
class kernel_queue {
public:
  explicit kernel_queue(int fd) noexcept : fd_(fd) {}
  kernel_queue(kernel_queue&& other) noexcept
      : fd_(std::exchange(other.fd_, -1)), process_(other.process_) {}
  kernel_queue(const kernel_queue&) = delete;
  kernel_queue& operator=(const kernel_queue&) = delete;
  ~kernel_queue() {
    if (fd_ >= 0 && is_here()) ::close(fd_);
  }
  int get() const noexcept { return fd_; }
  bool is_here() const noexcept { return process_ == sys::current_process(); }

private:
  int fd_;
  std::uint64_t process_ = sys::current_process();
};

struct kqueue_slot : watch_slot {
  bool registered = false;   // has events in the kqueue, or in the list of changes
  bool begun_again = false;  // the kqueue may have some of them, and the list as well
  unsigned refused = 0;      // by the kernel: queued, to begin again or to be told so
  sys::handle owned;         // the dup, when `handle` was watched already
};

// Queued are the watches that are always ready or were refused, and not yet delivered.
class kqueue_reactor final : public asking_reactor<kqueue_slot> {
public:
  explicit kqueue_reactor(kernel_queue queue) noexcept : queue_(std::move(queue)) {}

  std::string_view name() const noexcept override { return "kqueue"; }
  std::string_view reason() const noexcept override { return "kqueue; no futex waits"; }

  std::error_code watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                        event_sink& sink, watch_key& key) override;
  void unwatch(watch_key& key) noexcept override;
  sys::native_handle pollable() override { return queue_.get(); }
  void arm(time_point due) override;

private:
  static constexpr std::size_t batch_size = 128;
  using batch = std::array<struct kevent, batch_size>;

  std::error_code take_descriptor(kqueue_slot& slot) noexcept;
  void begin(kqueue_slot& slot) noexcept;
  void refuse(kqueue_slot& slot, unsigned error) noexcept;
  void end_watch(kqueue_slot& slot) noexcept override;
  bool take_back(const kqueue_slot& slot) noexcept;
  void change(std::uintptr_t ident, short filter, unsigned flags, unsigned fflags,
              std::intptr_t data, std::uint64_t key) noexcept;
  bool make_room() noexcept;
  std::error_code flush() noexcept;
  std::size_t ask(nanoseconds limit) override;
  bool take(const struct kevent& event);
  std::uint32_t events_of_queued(kqueue_slot& slot) override;

  kernel_queue queue_;
  std::vector<bool> watched_;  // by descriptor, without those that slots own
  batch changes_;
  std::size_t changed_ = 0;
  batch batch_;
  std::optional<time_point> armed_ = time_point::max();  // nothing: unknown, after an error
  bool waited_for_memory_ = false;                       // since the queue was last looked at
};

std::error_code kqueue_reactor::watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                                      event_sink& sink, watch_key& key) {
  struct stat file{};
  if (::fstat(h, &file) != 0) return sys::last_error();
  if (static_cast<std::size_t>(h) >= watched_.size())
    watched_.resize(static_cast<std::size_t>(h) + 1);
  kqueue_slot& slot = watches_.open(sink);
  slot.handle = h;
  slot.events = events;
  slot.mode = mode;
  if (always_ready(file.st_mode)) {
    watches_.push(slot);
  } else if (const std::error_code error = take_descriptor(slot)) {
    watches_.close(slot);
    return error;
  } else {
    begin(slot);
  }
  key = watches_.key_of(slot);
  return {};
}

std::error_code kqueue_reactor::take_descriptor(kqueue_slot& slot) noexcept {
  const auto index = static_cast<std::size_t>(slot.handle);
  if (!watched_[index]) {
    watched_[index] = true;
    return {};
  }
  slot.owned = sys::handle(::fcntl(slot.handle, F_DUPFD_CLOEXEC, 0));
  return slot.owned ? std::error_code() : sys::last_error();
}

void kqueue_reactor::begin(kqueue_slot& slot) noexcept {
  const auto ident = static_cast<std::uintptr_t>(slot.owned ? slot.owned.get() : slot.handle);
  const std::uint64_t key = watches_.key_of(slot).value;
  const bool read = (slot.events & event_read) != 0;
  change(ident, EVFILT_READ, EV_ADD | EV_CLEAR, read ? 0 : NOTE_LOWAT, read ? 0 : lowat_never, key);
  if (slot.events & event_write) change(ident, EVFILT_WRITE, EV_ADD | EV_CLEAR, 0, 0, key);
  slot.registered = true;
  pace_.hurry();
}

void kqueue_reactor::unwatch(watch_key& key) noexcept {
  if (kqueue_slot* slot = watches_.find(key.value)) end_watch(*slot);
  key = {};
}

void kqueue_reactor::end_watch(kqueue_slot& slot) noexcept {
  const bool taken_back = slot.registered && take_back(slot);
  const bool told = slot.registered && (!taken_back || slot.begun_again);
  // What was watched by a descriptor of the slot's own ends with that.
  if (slot.registered && !slot.owned) {
    const auto ident = static_cast<std::uintptr_t>(slot.handle);
    watched_[ident] = false;
    if (told) change(ident, EVFILT_READ, EV_DELETE, 0, 0, nobodys_key);
    if (told && (slot.events & event_write))
      change(ident, EVFILT_WRITE, EV_DELETE, 0, 0, nobodys_key);
  }
  slot.registered = false;
  slot.sink = nullptr;
  if (!slot.queued) watches_.close(slot);
}

// Removes the beginning of a watch from the list. Returns true when all of the watch was still in
// the list, so that it never reaches the kernel. Otherwise it could begin after its descriptor was
// closed, on a file that another thread has opened with the same number.
bool kqueue_reactor::take_back(const kqueue_slot& slot) noexcept {
  const std::uint64_t key = watches_.key_of(slot).value;
  const auto end = changes_.begin() + static_cast<std::ptrdiff_t>(changed_);
  const auto kept = std::remove_if(changes_.begin(), end,
                                   [key](const struct kevent& c) { return key_in(c) == key; });
  const auto taken = static_cast<std::size_t>(end - kept);
  changed_ -= taken;
  return taken == (slot.events & event_write ? 2U : 1U);
}

void kqueue_reactor::change(std::uintptr_t ident, short filter, unsigned flags, unsigned fflags,
                            std::intptr_t data, std::uint64_t key) noexcept {
  if (changed_ == changes_.size() && !make_room()) {
    // A watch begins later. Of an end the kernel does not hear: what it still reports finds no
    // watch.
    if (kqueue_slot* const slot = watches_.find(key)) refuse(*slot, ENOMEM);
    return;
  }
  // The key travels in a pointer, and is never one.
  const auto number = static_cast<std::uintptr_t>(key);
  void* const udata = reinterpret_cast<void*>(number);  // NOLINT(performance-no-int-to-ptr)
  EV_SET(&changes_[changed_], ident, filter, static_cast<unsigned short>(flags), fflags, data,
         udata);
  ++changed_;
}

void kqueue_reactor::refuse(kqueue_slot& slot, unsigned error) noexcept {
  slot.refused = error;
  watches_.push(slot);
}

// Insists: there is no other place for a change.
bool kqueue_reactor::make_room() noexcept {
  constexpr int attempts = 100;
  for (int i = 1; flush() && changed_ == changes_.size() && i < attempts; ++i)
    sys::wait_for_memory();
  return changed_ < changes_.size();
}

// Hands the list over and takes no event. Errors: that of the timer, or of the whole call, after
// which the list is as before.
std::error_code kqueue_reactor::flush() noexcept {
  if (changed_ == 0) return {};
  if (!queue_.is_here()) {
    changed_ = 0;
    return {};
  }
  batch handed = changes_;
  for (std::size_t i = 0; i < changed_; ++i) handed[i].flags |= EV_RECEIPT;
  batch receipts;
  const int count = ::kevent(queue_.get(), handed.data(), static_cast<int>(changed_),
                             receipts.data(), static_cast<int>(receipts.size()), nullptr);
  if (count < 0 && errno != EINTR) return sys::last_error();
  changed_ = 0;
  std::error_code error;
  for (int i = 0; i < count; ++i) {
    const struct kevent& receipt = receipts[static_cast<std::size_t>(i)];
    if (receipt.data == 0) continue;
    if (key_in(receipt) == timer_key)
      error.assign(static_cast<int>(receipt.data), std::system_category());
    if (kqueue_slot* const slot = watches_.find(key_in(receipt)))
      refuse(*slot, static_cast<unsigned>(receipt.data));
  }
  return error;
}

std::size_t kqueue_reactor::ask(nanoseconds limit) {
  const nanoseconds time = std::min(limit, longest_wait);
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(time.count() / 1'000'000'000);
  timeout.tv_nsec = static_cast<long>(time.count() % 1'000'000'000);
  const int count =
      ::kevent(queue_.get(), changes_.data(), static_cast<int>(changed_), batch_.data(),
               static_cast<int>(batch_.size()), limit == nanoseconds::max() ? nullptr : &timeout);
  if (count >= 0 || errno == EINTR) {
    changed_ = 0;
  } else {
    // The list is as before, and goes with the next call.
    if (!sys::lacks_memory(errno)) throw std::system_error(sys::last_error(), "kevent");
    sys::wait_for_memory();
  }
  pace_.looked(count == static_cast<int>(batch_.size()));

  waited_for_memory_ = false;
  std::size_t delivered = deliver_queued();
  for (int i = 0; i < count; ++i)
    if (take(batch_[static_cast<std::size_t>(i)])) ++delivered;
  return delivered;
}

// Returns whether a sink was called.
bool kqueue_reactor::take(const struct kevent& event) {
  const bool is_error = (event.flags & EV_ERROR) != 0;
  if (key_in(event) == timer_key)
    armed_ = is_error ? std::optional<time_point>() : time_point::max();
  kqueue_slot* const slot = watches_.find(key_in(event));
  if (slot == nullptr) return false;
  if (is_error && sys::lacks_memory(static_cast<int>(event.data))) {
    refuse(*slot, static_cast<unsigned>(event.data));
    return false;
  }
  std::uint32_t events = from_kevent(event);
  if (!(events & event_refused)) events &= slot->events | event_hangup | event_error;
  if (events == 0) return false;
  deliver(*slot, events);
  return true;
}

std::uint32_t kqueue_reactor::events_of_queued(kqueue_slot& slot) {
  const unsigned refused = std::exchange(slot.refused, 0);
  if (!refused) return slot.events;
  if (!sys::lacks_memory(static_cast<int>(refused))) return refused_with(refused);
  if (!std::exchange(waited_for_memory_, true)) sys::wait_for_memory();
  slot.begun_again = true;
  begin(slot);
  return 0;
}

void kqueue_reactor::arm(time_point due) {
  pace_.hurry();
  std::error_code error = flush();
  if (watches_.queued() != 0) due = time_point::min();
  if (!error && due != armed_) {
    if (due == time_point::max()) {
      change(timer_ident, EVFILT_TIMER, EV_DELETE, 0, 0, nobodys_key);
    } else {
      const auto now = clock::now();
      const nanoseconds time =
          due <= now ? nanoseconds(1) : std::min<nanoseconds>(due - now, longest_wait);
      change(timer_ident, EVFILT_TIMER, EV_ADD | EV_ONESHOT, NOTE_NSECONDS,
             static_cast<std::intptr_t>(time.count()), timer_key);
    }
    error = flush();
    armed_ = error ? std::optional<time_point>() : due;
  }
  if (error) throw std::system_error(error, "kevent");
}

}  // namespace

std::unique_ptr<reactor> make_kqueue_reactor(std::error_code& error) {
  error.clear();
  const int fd = ::kqueue();
  if (fd < 0) {
    error = sys::last_error();
    return nullptr;
  }
  kernel_queue queue(fd);
  if (::fcntl(fd, F_SETFD, FD_CLOEXEC) != 0) {
    error = sys::last_error();
    return nullptr;
  }
  return std::make_unique<kqueue_reactor>(std::move(queue));
}

}  // namespace ringbell::detail
