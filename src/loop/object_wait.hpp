// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <atomic>
#include <cstdint>
#include <system_error>

namespace ringbell::detail {

/// The means by which a port learns of an object: packets of the kernel, or a thread of the
/// system's pool.
enum class wait_means : std::uint8_t { packets, threads };

/// Whether this Windows has wait completion packets (8 and later; Wine has none).
bool has_wait_packets() noexcept;

/// Where waits report: a completion port and, once it exists, an event that is set whenever
/// something is in the port.
struct wait_target {
  sys::native_handle port = sys::invalid_handle;
  std::atomic<sys::native_handle> readable{sys::invalid_handle};
};

/// Waits for one object until end(), and then possibly for another. Whenever the object is
/// signalled, a completion with the wait's key comes out of the port. Signals merge while it is in
/// the port, so the port holds at most one for each wait.
///
/// A wait is meant for an auto-reset event, or another object that each wait resets. An object that
/// stays signalled, such as a process that has ended, is reported once.
///
/// Thread-safety: none; the thread that takes completions from the port.
/// Lifetime: the target must outlive the wait; the object must exist until end().
class object_wait {
public:
  explicit object_wait(wait_target& target) noexcept : target_(target) {}
  object_wait(const object_wait&) = delete;
  object_wait& operator=(const object_wait&) = delete;
  ~object_wait() { end(); }

  /// Begins the wait. The port must not still hold a completion with this `key` from an earlier
  /// wait. `resets`: see resets().
  /// Errors: the system's, when the object cannot be waited for.
  std::error_code begin(sys::native_handle object, std::uint64_t key, wait_means means,
                        bool resets) noexcept;
  /// To be called when a completion with this wait's key came out of the port: from then on signals
  /// cause a new one.
  /// Errors: the system's; the wait has then ended.
  std::error_code taken() noexcept;
  /// Ends the wait: nothing comes into the port any more, and the kernel has released the object. A
  /// signal whose completion was not taken is given back to the object. May block for as long as
  /// the callback of a thread of the pool takes. Has no effect when there is no wait.
  void end() noexcept;
  /// Continues the wait by other means.
  std::error_code change(wait_means means) noexcept;

  /// Whether a wait is known to reset this object, as it does an auto-reset event.
  static bool resets(sys::native_handle object) noexcept;
  /// Gives a signal back to the object, when it was taken but not delivered.
  static void give_back(sys::native_handle object) noexcept;

  /// Called on a thread of the pool.
  void signalled() noexcept;

private:
  std::error_code associate() noexcept;

  wait_target& target_;
  sys::native_handle object_ = sys::invalid_handle;
  std::uint64_t key_ = 0;
  wait_means means_ = wait_means::threads;
  bool resets_ = false;
  sys::native_handle waiting_ = sys::invalid_handle;  // a packet or a registration
  // Whether a completion is in the port.
  //   false -> true   the pool's thread, which then posts; or the loop when it associates a packet (then: is or will be in the port)
  //   true -> false   the loop, which has taken it out
  // A signal that finds it true does nothing: the completion is still to be taken, and the look
  // that follows includes the cause of the signal. Hence acquire and release on both sides.
  std::atomic<bool> pending_{false};
};

}  // namespace ringbell::detail
