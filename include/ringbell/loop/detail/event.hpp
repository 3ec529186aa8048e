// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstdint>
#include <system_error>

namespace ringbell::detail {

/// What happened to a watched handle. `event_hangup` is also set when the peer has shut down only
/// its sending side. `event_error` means that the next call that uses the handle returns an error;
/// an example is a pipe whose reader has closed it. `event_refused` means that the system does not
/// watch the handle, or no longer does. Nothing more will come then; the reason is in the bits
/// above (`refusal`).
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

/// Receives the events of one watched handle. It is called on the loop's thread, and never from
/// within `watch` or `unwatch`. It may call both, for its own watch and for any other. When it ends
/// a watch that has an event in the same batch, that event is dropped.
class event_sink {
public:
  /// `events` is a set of `event_bits`. It is a hint: look again at what you wait for.
  /// `event_refused` is never combined with others.
  virtual void on_event(std::uint32_t events) noexcept = 0;

protected:
  ~event_sink() = default;
};

/// How a watch ends. With `edge` it continues until unwatch(), and reports each change once. With
/// `once` it reports the first time that the handle is ready (at once, when it already is), and has
/// then ended.
enum class watch_mode : std::uint8_t { edge, once };

/// Identifies a watch. It can be passed to unwatch() even after the watch has ended.
struct watch_key {
  std::uint64_t value = 0;
  explicit operator bool() const noexcept { return value != 0; }
};

}  // namespace ringbell::detail
