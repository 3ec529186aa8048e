// SPDX-License-Identifier: BSL-1.0

// How a completion port reports objects that can be waited for.
//
// Windows has no call for that. There are two ways:
//
// Packets. NtCreateWaitCompletionPacket and its two companions, since Windows 8: the kernel itself
// puts a packet into the port when the object is signalled. The system's own thread pool is built
// on them, and Microsoft describes them, but they are not in the headers, so they are looked up at
// run time. A packet is for one signal, and is associated again when it has come out of the port.
// It is an object of its own. Closing its handle ends it; a packet that is already in the port
// stays until it is taken out, with a key that no longer exists.
//
// Threads. RegisterWaitForSingleObject: a thread of the system's pool waits for up to 63 objects,
// and calls back. The callback posts to the port. It is registered once for each wait, because
// registering costs as much as many rings. It runs in the pool's waiting thread
// (WT_EXECUTEINWAITTHREAD), and does nothing there that blocks.
//
// Lifetimes. The callback gets a pointer to this object. It may run until UnregisterWaitEx(…,
// INVALID_HANDLE_VALUE) has returned, which waits for a running callback. So end() returns only
// then. It must not be called with a lock that a callback takes (it takes none), nor by a callback.
// The port and the event outlive all waits. After end(), completions of this wait may still be in
// the port; their key shows that they are stale.
//
// Lost signals. Waiting for an auto-reset event takes its signal. When the wait then ends before
// the signal was delivered, the next waiter would not see it, unlike with a descriptor that stays
// readable. So end() sets the event again when a completion was posted and not taken. With packets
// that is exact. The pool drops a signal for which it has not yet called back when the wait is
// unregistered, and does not say so: that signal is lost. If the event were set whenever a wait
// ends, a sequence of waits, as for readable(), would be a loop that never sleeps. So a caller that
// waits again looks first, as all callers here do.
//
// Memory. A peer can ring without end while the loop is busy. So not every signal posts a
// completion: one is posted, and no other until it is taken. When posting fails because the kernel
// is out of memory, the callback sets the event again, and is called again. For an object that is
// not an event the signal is lost then.

#include "object_wait.hpp"

#include "sys/windows/win32.hpp"

#include <utility>

namespace ringbell::detail {
namespace {

using status = LONG;
constexpr status status_success = 0;
constexpr status status_access_denied = static_cast<status>(0xC0000022L);

// Functions that ntdll exports and the headers do not declare.
using create_packet = status NTAPI(HANDLE* packet, ACCESS_MASK access, void* attributes);
using associate_packet = status NTAPI(HANDLE packet, HANDLE port, HANDLE object, void* key,
                                      void* context, status io_status, ULONG_PTR information,
                                      BOOLEAN* already_signalled);
using cancel_packet = status NTAPI(HANDLE packet, BOOLEAN remove_signalled);
using status_to_error = ULONG NTAPI(status);
struct event_information {
  LONG type;  // 0: stays set, 1: auto-reset
  LONG state;
};
using query_event = status NTAPI(HANDLE event, int what, void* information, ULONG length,
                                 ULONG* returned);

struct native_calls {
  create_packet* create = sys::system_function<create_packet>("NtCreateWaitCompletionPacket");
  associate_packet* associate =
      sys::system_function<associate_packet>("NtAssociateWaitCompletionPacket");
  cancel_packet* cancel = sys::system_function<cancel_packet>("NtCancelWaitCompletionPacket");
  query_event* query = sys::system_function<query_event>("NtQueryEvent");
  status_to_error* to_error = sys::system_function<status_to_error>("RtlNtStatusToDosError");
};

const native_calls& native() noexcept {
  static const native_calls calls;
  return calls;
}

std::error_code error_of_status(status s) noexcept {
  return sys::error_of(native().to_error ? native().to_error(s) : ERROR_INVALID_FUNCTION);
}

void CALLBACK on_signal(void* wait, BOOLEAN) { static_cast<object_wait*>(wait)->signalled(); }

}  // namespace

bool has_wait_packets() noexcept {
  return native().create && native().associate && native().cancel;
}

bool object_wait::resets(sys::native_handle object) noexcept {
  if (!native().query) return true;
  event_information information{};
  const status result = native().query(object, 0, &information, sizeof information, nullptr);
  // This process may not query the event. An event that is shared for ringing is an auto-reset one.
  return result == status_success ? information.type == 1 : result == status_access_denied;
}

void object_wait::give_back(sys::native_handle object) noexcept {
  // This fails for an object that is not an event. That is fine: it stays signalled, or no other
  // process shares it.
  ::SetEvent(object);
}

std::error_code object_wait::begin(sys::native_handle object, std::uint64_t key, wait_means means,
                                   bool resets) noexcept {
  object_ = object;
  key_ = key;
  means_ = means;
  resets_ = resets;
  pending_.store(false, std::memory_order_relaxed);
  if (!resets_) {
    // The pool does not report an object that cannot be waited for.
    const DWORD now = ::WaitForSingleObject(object, 0);
    if (now == WAIT_FAILED) return sys::last_error();
    if (now != WAIT_TIMEOUT) {
      signalled();
      return pending_.load(std::memory_order_relaxed)
                 ? std::error_code()
                 : std::make_error_code(std::errc::not_enough_memory);
    }
  }
  std::error_code error;
  if (means == wait_means::packets) {
    const status made = native().create(&waiting_, GENERIC_ALL, nullptr);
    error = made == status_success ? associate() : error_of_status(made);
  } else if (!::RegisterWaitForSingleObject(
                 &waiting_, object, &on_signal, this, INFINITE,
                 resets_ ? WT_EXECUTEINWAITTHREAD : WT_EXECUTEINWAITTHREAD | WT_EXECUTEONLYONCE)) {
    waiting_ = nullptr;
    error = sys::last_error();
  }
  if (error) end();
  return error;
}

std::error_code object_wait::associate() noexcept {
  pending_.store(true, std::memory_order_relaxed);
  BOOLEAN already = FALSE;
  const status result =
      native().associate(waiting_, target_.port, object_, reinterpret_cast<void*>(key_), nullptr,
                         status_success, 0, &already);
  if (result == status_success) return {};
  pending_.store(false, std::memory_order_relaxed);
  return error_of_status(result);
}

void object_wait::signalled() noexcept {
  if (pending_.exchange(true, std::memory_order_acq_rel)) return;
  if (!::PostQueuedCompletionStatus(target_.port, 0, static_cast<ULONG_PTR>(key_), nullptr)) {
    pending_.store(false, std::memory_order_relaxed);
    give_back(object_);
    ::SwitchToThread();
    return;
  }
  // After posting, so that a thread that sees the event finds the completion.
  if (const HANDLE readable = target_.readable.load(std::memory_order_seq_cst))
    ::SetEvent(readable);
}

std::error_code object_wait::taken() noexcept {
  pending_.exchange(false, std::memory_order_acq_rel);
  if (resets_) return means_ == wait_means::packets ? associate() : std::error_code();
  end();
  return {};
}

void object_wait::end() noexcept {
  if (object_ == sys::invalid_handle) return;
  bool unheard = false;
  if (waiting_ && means_ == wait_means::packets) {
    if (pending_.load(std::memory_order_relaxed) &&
        native().cancel(waiting_, FALSE) != status_success) {
      // The object was signalled: its packet is in the port.
      (void)native().cancel(waiting_, TRUE);
      unheard = true;
    }
    ::CloseHandle(waiting_);
  } else {
    if (waiting_) ::UnregisterWaitEx(waiting_, INVALID_HANDLE_VALUE);
    unheard = pending_.load(std::memory_order_acquire);
  }
  waiting_ = nullptr;
  const HANDLE object = std::exchange(object_, sys::invalid_handle);
  if (unheard && resets_) give_back(object);
}

std::error_code object_wait::change(wait_means means) noexcept {
  if (object_ == sys::invalid_handle || means == means_) return {};
  const HANDLE object = object_;
  end();
  return begin(object, key_, means, resets_);
}

}  // namespace ringbell::detail
