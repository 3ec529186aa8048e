// SPDX-License-Identifier: BSL-1.0
#include <ringbell/service/detail/frame.hpp>

#include <ringbell/time_limit.hpp>

#include <algorithm>
#include <bit>
#include <concepts>
#include <cstring>
#include <limits>

namespace ringbell::service_frame {

namespace {

static_assert(std::endian::native == std::endian::little,
              "the wire is little-endian; convert here on other machines");

template <std::integral T>
void put(std::span<std::byte> into, std::size_t offset, T value) noexcept {
  std::memcpy(into.data() + offset, &value, sizeof value);
}
template <std::integral T>
T get(std::span<const std::byte> from, std::size_t offset) noexcept {
  T value;
  std::memcpy(&value, from.data() + offset, sizeof value);
  return value;
}

std::size_t size_of_header(kind k) noexcept {
  switch (k) {
    case kind::request: return 24;
    case kind::credit:
    case kind::goaway: return 16;
    case kind::part:
    case kind::cancel:
    case kind::reply: return header_size;
  }
  return 0;
}

std::uint8_t flags_of(kind k) noexcept {
  switch (k) {
    case kind::request:
    case kind::part: return more;
    case kind::reply: return more | error;
    default: return 0;
  }
}

bool may_come(kind k, bool from_client) noexcept {
  switch (k) {
    case kind::request:
    case kind::part:
    case kind::cancel: return from_client;
    case kind::reply:
    case kind::goaway: return !from_client;
    case kind::credit: return true;
  }
  return false;
}

bool carries_metadata(kind k) noexcept { return k == kind::request || k == kind::reply; }
bool carries_payload(kind k) noexcept { return carries_metadata(k) || k == kind::part; }

constexpr errc service_errors[] = {
    errc::refused_in_flight,    errc::timed_out,         errc::cancelled,
    errc::handler_failed,       errc::refused_stopping,  errc::no_such_method,
    errc::dropped_idle,         errc::message_too_large, errc::refused_bytes,
    errc::refused_unauthorized,
};

}  // namespace

encoded_header encode(const header& h) noexcept {
  encoded_header out;
  out.size = size_of_header(h.kind);
  put(out.storage, 0, static_cast<std::uint8_t>(h.kind));
  put(out.storage, 1, h.flags);
  put(out.storage, 2, static_cast<std::uint16_t>(h.metadata));
  put(out.storage, 4, h.call);
  switch (h.kind) {
    case kind::request:
      put(out.storage, 8, h.method);
      put(out.storage, 16, h.deadline);
      break;
    case kind::credit: put(out.storage, 8, h.credit); break;
    case kind::goaway: put(out.storage, 8, static_cast<std::uint64_t>(number_of(h.reason))); break;
    default: break;
  }
  return out;
}

result<frame> decode(std::span<const std::byte> message, bool from_client) noexcept {
  if (message.size() < header_size) return errc::bad_peer;
  frame f;
  header& h = f.head;
  h.kind = static_cast<kind>(get<std::uint8_t>(message, 0));
  h.flags = get<std::uint8_t>(message, 1);
  h.metadata = get<std::uint16_t>(message, 2);
  h.call = get<std::uint32_t>(message, 4);
  const std::size_t head = size_of_header(h.kind);
  if (head == 0 || !may_come(h.kind, from_client) || message.size() < head) return errc::bad_peer;
  if ((h.flags & ~flags_of(h.kind)) != 0 || (h.flags & (more | error)) == (more | error))
    return errc::bad_peer;
  const std::size_t rest = message.size() - head;
  if (h.metadata > (carries_metadata(h.kind) ? max_metadata : 0) || h.metadata > rest)
    return errc::bad_peer;
  if (!carries_payload(h.kind) && rest != 0) return errc::bad_peer;
  switch (h.kind) {
    case kind::request:
      h.method = get<std::uint32_t>(message, 8);
      if (get<std::uint32_t>(message, 12) != 0) return errc::bad_peer;
      h.deadline = get<std::uint64_t>(message, 16);
      break;
    case kind::part:
      if ((h.flags & more) == 0 && rest != 0) return errc::bad_peer;  // the end carries no bytes
      break;
    case kind::credit: h.credit = get<std::uint64_t>(message, 8); break;
    case kind::goaway: {
      const auto number = get<std::uint64_t>(message, 8);
      h.reason =
          number <= std::size(service_errors) ? errc_of(static_cast<std::int32_t>(number)) : errc{};
      if (h.call != 0 || (h.reason != errc::refused_stopping && h.reason != errc::dropped_idle))
        return errc::bad_peer;
      break;
    }
    default: break;
  }
  f.metadata = message.subspan(head, h.metadata);
  f.payload = message.subspan(head + h.metadata);
  return f;
}

std::array<std::byte, failure_header_size> encode(const failure& f) noexcept {
  std::array<std::byte, failure_header_size> out{};
  put(out, 0, static_cast<std::uint32_t>(f.domain));
  put(out, 4, f.code);
  return out;
}

result<failure> decode_failure(std::span<const std::byte> payload) noexcept {
  if (payload.size() < failure_header_size) return errc::bad_peer;
  failure f;
  const auto domain = get<std::uint32_t>(payload, 0);
  if (domain > static_cast<std::uint32_t>(code_domain::system)) return errc::bad_peer;
  f.domain = static_cast<code_domain>(domain);
  f.code = get<std::int32_t>(payload, 4);
  if (f.domain == code_domain::service && errc_of(f.code) == errc{}) return errc::bad_peer;
  const auto text = payload.subspan(failure_header_size);
  f.text = {reinterpret_cast<const char*>(text.data()), text.size()};
  return f;
}

std::int32_t number_of(errc e) noexcept {
  for (std::size_t i = 0; i < std::size(service_errors); ++i)
    if (service_errors[i] == e) return static_cast<std::int32_t>(i + 1);
  return 0;
}

errc errc_of(std::int32_t number) noexcept {
  return number >= 1 && static_cast<std::size_t>(number) <= std::size(service_errors)
             ? service_errors[number - 1]
             : errc{};
}

namespace {

// Saturates.
template <class Clock>
std::int64_t nanoseconds_of(typename Clock::time_point t) noexcept {
  return std::chrono::nanoseconds(time_limit(t.time_since_epoch())).count();
}
std::int64_t saturated_sum(std::int64_t a, std::int64_t b) noexcept {
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  constexpr std::int64_t least = std::numeric_limits<std::int64_t>::min();
  if (b > 0 && a > most - b) return most;
  if (b < 0 && a < least - b) return least;
  return a + b;
}

}  // namespace

// Of the two clocks the one that is left is read first, here and below: what passes between the two
// readings then makes the deadline later, never earlier.
std::uint64_t sent_deadline(std::chrono::steady_clock::time_point deadline) noexcept {
  using std::chrono::steady_clock;
  using std::chrono::system_clock;
  if (deadline == steady_clock::time_point::max()) return 0;
  const std::int64_t left = saturated_sum(nanoseconds_of<steady_clock>(deadline),
                                          -nanoseconds_of<steady_clock>(steady_clock::now()));
  const std::int64_t sent = saturated_sum(nanoseconds_of<system_clock>(system_clock::now()), left);
  return static_cast<std::uint64_t>(std::max<std::int64_t>(1, sent));
}

std::optional<std::chrono::steady_clock::time_point> received_deadline(
    std::uint64_t sent) noexcept {
  using std::chrono::system_clock;
  if (sent == 0) return std::nullopt;
  constexpr std::int64_t most = std::numeric_limits<std::int64_t>::max();
  const auto at = static_cast<std::int64_t>(std::min(sent, static_cast<std::uint64_t>(most)));
  return detail::from_now(
      std::chrono::nanoseconds(at - nanoseconds_of<system_clock>(system_clock::now())));
}

}  // namespace ringbell::service_frame
