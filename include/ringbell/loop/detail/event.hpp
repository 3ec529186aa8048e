// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstdint>
#include <system_error>

namespace ringbell::detail {

/// What happened to a watched handle. `event_hangup` also says that the peer has shut down its
/// sending side only. `event_error` says that an error waits at the handle, for the next call that
/// uses it: the reader of a pipe has gone, say. `event_refused` says that the system does not watch
/// it, or no longer: nothing more will come; the reason is in the bits above (`refusal`).
enum event_bits : std::uint32_t {
  event_read = 1,
  event_write = 2,
  event_hangup = 4,
  event_error = 8,
  event_refused = 16
};

constexpr unsigned refusal_shift = 8;
constexpr std::uint32_t refused_with(unsigned system_error) noexcept {
  return event_refused | system_error << refusal_shift;
}
inline std::error_code refusal(std::uint32_t events) noexcept {
  return {static_cast<int>(events >> refusal_shift), std::system_category()};
}

/// Gets the events of one watched handle. Called on the loop's thread, never from within `watch` or
/// `unwatch`; may itself call both, for its own watch and for any other, also one that has an event
/// in the same batch (that event is then dropped).
class event_sink {
public:
  /// `events` is a set of `event_bits`. A hint: look again at what you wait for. `event_refused`
  /// comes alone.
  virtual void on_event(std::uint32_t events) noexcept = 0;

protected:
  ~event_sink() = default;
};

/// How a watch ends: `edge` goes on until unwatch() and reports each change once; `once` reports
/// the first time that the handle is ready (at once, when it is already) and has then ended by
/// itself.
enum class watch_mode : std::uint8_t { edge, once };

/// Names a watch. Stays safe to pass to unwatch() after the watch has ended.
struct watch_key {
  std::uint64_t value = 0;
  explicit operator bool() const noexcept { return value != 0; }
};

}  // namespace ringbell::detail
