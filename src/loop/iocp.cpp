// SPDX-License-Identifier: BSL-1.0

// The reactor on a completion port: Windows.
//
// Strategy. A loop watches objects that can be waited for, above all auto-reset events: bells, and
// the events of pending reads of pipes. docs/decisions/0024-windows-waits-for-objects.md says why
// it does not watch the pipes themselves. Each watched object has one wait (see object_wait.cpp),
// whose completions come out of the port. That wait resets the event, and the signal is delivered
// to all watches of the object.
//
// Risks.
// - An auto-reset event releases one waiter. So two watches of one handle share a wait. Two handles
//   of one event, or two loops, would take each other's signals; this library has no such case.
// - A signal that was taken from the event but delivered to no watch is given back to the event
//   when the last watch of an object ends. The wait does that when its completion is in the port,
//   the reactor when the signal is in the queue of watches to be called. A thread of the pool that
//   is just about to call back is made to forget it. So a watch need not report what came before it
//   began: a caller that has ended one looks again before it begins the next.
// - A completion in the port can outlive its watch. Its key has the number of an old generation,
//   and finds nothing.
// - An object says only that something happened. So only `event_read` is ever reported, even to a
//   sink that asked only for a hang-up, and the sink has to look. Nothing becomes ready for
//   writing.
// - An object that stays signalled would be reported without end. It is reported once for each
//   watch, and then the kernel no longer watches it.
// - A foreign loop cannot wait for the port. For that there is an event, from the first pollable()
//   on. It stays set from the posting of a completion until the reactor asks the port. It is reset
//   before the port is asked, and set after a completion is posted. So it may be set without a
//   reason, but it is always set when there is something in the port. Packets set no event, so from
//   then on threads of the pool do all the waiting.
// - Timeouts are in milliseconds and rounded up, because a wait that ends too early would make a
//   loop that waits for a timer spin. Windows wakes no thread between the ticks of its clock. That
//   is up to 15.6 ms late where no program has asked for a higher rate (timeBeginPeriod).
// - No event can be noticed without a system call: see look_pace.hpp.

#include "asking_reactor.hpp"
#include "object_wait.hpp"
#include "sys/windows/win32.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/handle.hpp>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

namespace ringbell::detail {
namespace {

using std::chrono::nanoseconds;
using clock = std::chrono::steady_clock;

// Longer waits than this are made in pieces.
constexpr nanoseconds longest_wait = std::chrono::hours(24);

// Handles are small multiples of four: the kernel numbers them by their index in a table, which has
// at most 16 million entries.
constexpr std::size_t highest_handle = std::size_t{1} << 26;

// The headers of mingw 10 lack it. Windows before 10 1803 refuses it.
constexpr DWORD high_resolution = 2;

std::size_t place_of(sys::native_handle h) noexcept {
  return reinterpret_cast<std::uintptr_t>(h) / 4;
}

struct iocp_slot : watch_slot {
  std::uint32_t object = 0;  // the number of the object that it watches
  std::uint64_t also = 0;    // key of the next watch of the same object
  unsigned failed = 0;       // why the object can no longer be waited for
};

/// An object that has one or several watches.
struct watched_object {
  explicit watched_object(wait_target& target) noexcept : wait(target) {}
  sys::native_handle handle = sys::invalid_handle;
  std::uint32_t generation = 1;
  std::uint64_t first = 0;  // key of a watch; 0: not watched
  object_wait wait;
};

// Queued are the watches whose object was signalled, and those to be told that it is not watched.
class iocp_reactor final : public asking_reactor<iocp_slot> {
public:
  iocp_reactor(sys::handle port, wait_means means) noexcept
      : port_(std::move(port)), means_(means) {
    target_.port = port_.get();
  }

  std::string_view name() const noexcept override { return "iocp"; }
  std::string_view reason() const noexcept override {
    return means_ == wait_means::packets
               ? "iocp with wait completion packets; no futex waits"
               : "iocp with waits in the system's thread pool; no futex waits";
  }

  std::error_code watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                        event_sink& sink, watch_key& key) override;
  void unwatch(watch_key& key) noexcept override;
  sys::native_handle pollable() override;
  void arm(time_point due) override;

private:
  static constexpr std::size_t batch_size = 128;
  static constexpr std::uint32_t none = 0;  // objects are counted from 1

  watched_object& object(std::uint32_t number) noexcept { return *objects_[number - 1]; }
  watched_object* find_object(std::uint64_t key) noexcept;
  std::uint32_t open_object();
  void close_object(std::uint32_t number) noexcept;
  std::error_code join(iocp_slot& slot, std::uint64_t key);
  void leave(iocp_slot& slot, bool told) noexcept;
  void finish(iocp_slot& slot, bool told) noexcept;
  // Called when the sink is about to be called.
  void end_watch(iocp_slot& slot) noexcept override { finish(slot, true); }
  std::size_t ask(nanoseconds limit) override;
  void collect(DWORD milliseconds);
  void take(std::uint64_t key) noexcept;
  void queue_watches(const watched_object& o, std::error_code failed) noexcept;
  std::uint32_t events_of_queued(iocp_slot& slot) override {
    return slot.failed ? refused_with(slot.failed) : std::uint32_t{event_read};
  }

  sys::handle port_;
  wait_means means_;
  wait_target target_;
  // For a foreign loop, as `timer_`; both exist from the first pollable() on.
  sys::handle readable_;
  sys::handle timer_;
  object_wait timer_wait_{target_};
  time_point armed_ = time_point::max();

  std::vector<std::unique_ptr<watched_object>> objects_;
  std::vector<std::uint32_t> free_objects_;
  // The number of each object, by the index of its handle in the kernel's table.
  std::vector<std::uint32_t> by_place_;
  std::array<OVERLAPPED_ENTRY, batch_size> batch_;
};

// -- objects --

watched_object* iocp_reactor::find_object(std::uint64_t key) noexcept {
  const std::size_t number = key & 0xffffffff;
  if (number == 0 || number > objects_.size()) return nullptr;
  watched_object& found = *objects_[number - 1];
  return found.first != 0 && found.generation == key >> 32 ? &found : nullptr;
}

std::uint32_t iocp_reactor::open_object() {
  if (free_objects_.empty()) {
    objects_.push_back(std::make_unique<watched_object>(target_));
    try {
      free_objects_.reserve(objects_.size());  // so that returning one never allocates
    } catch (...) {
      objects_.pop_back();
      throw;
    }
    free_objects_.push_back(static_cast<std::uint32_t>(objects_.size()));
  }
  const std::uint32_t number = free_objects_.back();
  free_objects_.pop_back();
  return number;
}

void iocp_reactor::close_object(std::uint32_t number) noexcept {
  watched_object& o = object(number);
  o.wait.end();
  if (o.handle != sys::invalid_handle) by_place_[place_of(o.handle)] = none;
  o.handle = sys::invalid_handle;
  o.first = 0;
  if (++o.generation == 0) o.generation = 1;
  free_objects_.push_back(number);
}

// Makes a slot one of the watches of its handle.
std::error_code iocp_reactor::join(iocp_slot& slot, std::uint64_t key) {
  const std::size_t place = place_of(slot.handle);
  if (place >= by_place_.size()) by_place_.resize(place + 1, none);
  std::uint32_t number = by_place_[place];
  if (number == none) {
    number = open_object();
    watched_object& o = object(number);
    if (const std::error_code error =
            o.wait.begin(slot.handle, std::uint64_t{o.generation} << 32 | number, means_,
                         object_wait::resets(slot.handle))) {
      close_object(number);
      return error;
    }
    o.handle = slot.handle;
    by_place_[place] = number;
  }
  slot.object = number;
  slot.also = std::exchange(object(number).first, key);
  return {};
}

// Removes a slot from the watches of its handle. With `told`, its sink has been called for the
// object's last signal, or is about to be.
void iocp_reactor::leave(iocp_slot& slot, bool told) noexcept {
  const std::uint32_t number = std::exchange(slot.object, none);
  watched_object& o = object(number);
  const std::uint64_t key = watches_.key_of(slot).value;
  std::uint64_t* link = &o.first;
  while (*link != key) link = &watches_.find(*link)->also;
  *link = slot.also;
  if (o.first != 0) return;
  const sys::native_handle handle = o.handle;
  close_object(number);
  if (!told) object_wait::give_back(handle);
}

// -- watches --

std::error_code iocp_reactor::watch(sys::native_handle h, std::uint32_t events, watch_mode mode,
                                    event_sink& sink, watch_key& key) {
  if (events & event_write) return errc::not_supported;
  DWORD flags;
  if (place_of(h) >= highest_handle / 4) return {ERROR_INVALID_HANDLE, std::system_category()};
  if (!::GetHandleInformation(h, &flags)) return sys::last_error();
  iocp_slot& slot = watches_.open(sink);
  slot.handle = h;
  slot.events = events;
  slot.mode = mode;
  const watch_key made = watches_.key_of(slot);
  try {
    if (const std::error_code error = join(slot, made.value)) {
      watches_.close(slot);
      return error;
    }
  } catch (...) {
    watches_.close(slot);
    throw;
  }
  pace_.hurry();
  key = made;
  return {};
}

void iocp_reactor::unwatch(watch_key& key) noexcept {
  if (iocp_slot* slot = watches_.find(key.value)) finish(*slot, !slot->queued);
  key = {};
}

void iocp_reactor::finish(iocp_slot& slot, bool told) noexcept {
  leave(slot, told);
  slot.sink = nullptr;
  if (!slot.queued) watches_.close(slot);
}

// -- events --

std::size_t iocp_reactor::ask(nanoseconds limit) {
  DWORD milliseconds = INFINITE;
  if (limit != nanoseconds::max())
    milliseconds = static_cast<DWORD>(
        std::chrono::ceil<std::chrono::milliseconds>(std::min(limit, longest_wait)).count());
  collect(milliseconds);
  return deliver_queued();
}

// Takes the completions in the port, and queues the watches that are to be called.
void iocp_reactor::collect(DWORD milliseconds) {
  if (readable_) ::ResetEvent(readable_.get());
  ULONG count = 0;
  if (!::GetQueuedCompletionStatusEx(port_.get(), batch_.data(), static_cast<ULONG>(batch_.size()),
                                     &count, milliseconds, FALSE)) {
    const std::error_code error = sys::last_error();
    if (error.value() != WAIT_TIMEOUT)
      throw std::system_error(error, "GetQueuedCompletionStatusEx");
    count = 0;
  }
  const bool more = count == batch_.size();
  pace_.looked(more);
  if (more && readable_) ::SetEvent(readable_.get());
  for (ULONG i = 0; i < count; ++i) take(batch_[i].lpCompletionKey);
}

void iocp_reactor::take(std::uint64_t key) noexcept {
  if (key == timer_key) {
    (void)timer_wait_.taken();
    armed_ = time_point::max();
  } else if (watched_object* const o = find_object(key)) {
    queue_watches(*o, o->wait.taken());
  }
}

void iocp_reactor::queue_watches(const watched_object& o, std::error_code failed) noexcept {
  for (std::uint64_t key = o.first; key != 0;) {
    iocp_slot& slot = *watches_.find(key);
    if (failed) slot.failed = static_cast<unsigned>(failed.value());
    watches_.push(slot);
    key = slot.also;
  }
}

// -- for a foreign loop --

sys::native_handle iocp_reactor::pollable() {
  if (readable_) return readable_.get();
  sys::handle readable(::CreateEventW(nullptr, TRUE, FALSE, nullptr));
  if (!readable) throw std::system_error(sys::last_error(), "CreateEvent");
  sys::handle timer(::CreateWaitableTimerExW(nullptr, nullptr, high_resolution, TIMER_ALL_ACCESS));
  if (!timer) timer = sys::handle(::CreateWaitableTimerExW(nullptr, nullptr, 0, TIMER_ALL_ACCESS));
  if (!timer) throw std::system_error(sys::last_error(), "CreateWaitableTimer");
  if (const std::error_code error =
          timer_wait_.begin(timer.get(), timer_key, wait_means::threads, true))
    throw std::system_error(error, "RegisterWaitForSingleObject");
  readable_ = std::move(readable);
  timer_ = std::move(timer);
  target_.readable.store(readable_.get(), std::memory_order_seq_cst);
  // A thread that posted without seeing the event has posted before this look at the port.
  means_ = wait_means::threads;
  for (const auto& o : objects_)
    if (const std::error_code failed = o->first != 0 ? o->wait.change(means_) : std::error_code())
      queue_watches(*o, failed);
  collect(0);
  if (watches_.queued() != 0) ::SetEvent(readable_.get());
  return readable_.get();
}

void iocp_reactor::arm(time_point due) {
  pollable();
  pace_.hurry();
  if (watches_.queued() != 0) ::SetEvent(readable_.get());
  if (due == armed_) return;
  BOOL done;
  if (due == time_point::max()) {
    done = ::CancelWaitableTimer(timer_.get());
  } else {
    // Negative: relative to now, in units of 100 ns.
    const auto now = clock::now();
    const nanoseconds time =
        due <= now ? nanoseconds(1) : std::min<nanoseconds>(due - now, longest_wait);
    LARGE_INTEGER relative;
    relative.QuadPart = -((time.count() + 99) / 100);
    done = ::SetWaitableTimer(timer_.get(), &relative, 0, nullptr, nullptr, FALSE);
  }
  if (!done) throw std::system_error(sys::last_error(), "SetWaitableTimer");
  armed_ = due;
}

}  // namespace

std::unique_ptr<reactor> make_iocp_reactor(std::error_code& error, bool packets) {
  error.clear();
  sys::handle port(::CreateIoCompletionPort(INVALID_HANDLE_VALUE, nullptr, 0, 1));
  if (!port) {
    error = sys::last_error();
    return nullptr;
  }
  return std::make_unique<iocp_reactor>(
      std::move(port), packets && has_wait_packets() ? wait_means::packets : wait_means::threads);
}

}  // namespace ringbell::detail
