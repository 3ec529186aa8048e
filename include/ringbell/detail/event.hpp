// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace ringbell::detail {

/// What happened to a watched handle. `event_hangup` also says that the peer has shut down its sending side only.
enum event_bits : std::uint32_t { event_read = 1, event_write = 2, event_hangup = 4, event_error = 8 };

/// Gets the events of one watched handle. Called on the loop's thread, never from within `watch` or `unwatch`; may itself call both,
/// for its own watch and for any other, also one that has an event in the same batch (that event is then dropped).
class event_sink {
public:
  /// `events` is a set of `event_bits`. A hint: look again at what you wait for.
  virtual void on_event(std::uint32_t events) noexcept = 0;

protected:
  ~event_sink() = default;
};

/// How a watch ends: `edge` goes on until unwatch() and reports each change once; `once` reports the first time that the handle is
/// ready (at once, when it is already) and has then ended by itself.
enum class watch_mode : std::uint8_t { edge, once };

/// Names a watch. Stays safe to pass to unwatch() after the watch has ended.
struct watch_key {
  std::uint64_t value = 0;
  explicit operator bool() const noexcept { return value != 0; }
};

}  // namespace ringbell::detail
