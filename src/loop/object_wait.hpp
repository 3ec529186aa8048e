// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <atomic>
#include <cstdint>
#include <system_error>

namespace ringbell::detail {

/// By which means a port hears of an object: packets of the kernel's, or a thread of the system's
/// pool.
enum class wait_means : std::uint8_t { packets, threads };

/// Whether this Windows has wait completion packets (8 and later; Wine has none).
bool has_wait_packets() noexcept;

/// What waits report to: a completion port; and an event that is set whenever something is there,
/// once there is one.
struct wait_target {
  sys::native_handle port = sys::invalid_handle;
  std::atomic<sys::native_handle> readable{sys::invalid_handle};
};

/// Waits for one object until end(), and then again for another. Whenever the object is signalled,
/// a completion with the wait's key comes out of the port; signals merge as long as it is in there,
/// so the port holds at most one for each wait.
///
/// What a wait is for is an auto-reset event, or another object that each wait resets. What stays
/// signalled, as a process that has ended does, is reported once.
///
/// Thread-safety: none; the thread that takes completions from the port. Lifetime: the target
/// outlives the wait; the object outlives it until end().
class object_wait {
public:
  explicit object_wait(wait_target& target) noexcept : target_(target) {}
  object_wait(const object_wait&) = delete;
  object_wait& operator=(const object_wait&) = delete;
  ~object_wait() { end(); }

  /// `key` must not be one that this port may still hold of an earlier wait. `resets`: see
  /// resets(). Errors: the system's, when the object cannot be waited for.
  std::error_code begin(sys::native_handle object, std::uint64_t key, wait_means means,
                        bool resets) noexcept;
  /// A completion with this wait's key came out of the port: from here on signals cause a new one.
  /// Errors: the system's; the wait is over then.
  std::error_code taken() noexcept;
  /// Nothing comes into the port any more, and the kernel has let go of the object. A signal whose
  /// completion was not taken is given back to the object. May block for as long as the callback of
  /// a thread of the pool takes. No effect when no wait is going on.
  void end() noexcept;
  /// Goes on by other means.
  std::error_code change(wait_means means) noexcept;

  /// Whether an object is known to be reset by a wait: an auto-reset event is.
  static bool resets(sys::native_handle object) noexcept;
  /// Gives the object a signal back that was taken from it for nobody.
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
  sys::native_handle waiting_ = sys::invalid_handle;  // packet, or registration
  // Whether a completion is in the port.
  //   false -> true   by the pool's thread, which then posts; by the loop where it associates a packet (then: or will be)
  //   true -> false   by the loop, which has taken it out
  // A signal that finds it true is silent: the completion is still to be taken, and what is looked
  // at afterwards includes what the signal was about. Hence acquire and release on both sides.
  std::atomic<bool> pending_{false};
};

}  // namespace ringbell::detail
