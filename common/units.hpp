// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <optional>
#include <string>
#include <string_view>

namespace ringbell::tool {

namespace detail {

struct unit {
  std::string_view name;
  double factor;
};

/// Three digits that matter, and the largest unit that leaves something before the point. `units`
/// rise.
template <std::size_t N>
std::string scaled(double value, const std::array<unit, N>& units) {
  std::size_t i = 0;
  while (i + 1 < N && value >= units[i + 1].factor * 0.9995) ++i;
  value /= units[i].factor;
  char text[48];
  const int decimals =
      value >= 99.95 || (i == 0 && units[0].factor == 1 &&
                         value == static_cast<double>(static_cast<std::uint64_t>(value)))
          ? 0
          : (value >= 9.995 ? 1 : 2);
  std::snprintf(text, sizeof text, "%.*f%s%.*s", decimals, value, units[i].name.empty() ? "" : " ",
                static_cast<int>(units[i].name.size()), units[i].name.data());
  return text;
}

/// Takes digits, with or without a point among them, from the front. Not std::from_chars: not every
/// library has it for such numbers.
inline std::optional<double> take_number(std::string_view& text) {
  double digits = 0;
  double scale = 1;
  std::size_t i = 0;
  bool any = false;
  bool point = false;
  for (; i < text.size(); ++i) {
    if (text[i] == '.' && !point) {
      point = true;
      continue;
    }
    if (text[i] < '0' || text[i] > '9') break;
    digits = digits * 10 + (text[i] - '0');
    if (point) scale *= 10;
    any = true;
  }
  if (!any) return std::nullopt;
  text.remove_prefix(i);
  return digits / scale;
}

/// A number and one of the units, without a rest; nothing when it is not that, or beyond 9.2e18.
template <std::size_t N>
std::optional<std::uint64_t> parse(std::string_view text, const std::array<unit, N>& units) {
  const std::optional<double> number = take_number(text);
  if (!number) return std::nullopt;
  const std::string_view name = text;
  for (const unit& u : units) {
    const double value = *number * u.factor;
    if (name == u.name && value < 9.2e18) return static_cast<std::uint64_t>(value);
  }
  return std::nullopt;
}

}  // namespace detail

inline std::string format_duration(double nanoseconds) {
  static constexpr std::array<detail::unit, 4> units{
      {{"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}}};
  return detail::scaled(nanoseconds, units);
}
inline std::string format_duration(std::chrono::nanoseconds d) {
  return format_duration(static_cast<double>(d.count()));
}

/// Counts and rates: 950, 1.20 k, 18.3 M.
inline std::string format_count(double value) {
  static constexpr std::array<detail::unit, 4> units{{{"", 1}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}}};
  return detail::scaled(value, units);
}

inline std::string format_bytes(double bytes) {
  static constexpr std::array<detail::unit, 4> units{
      {{"B", 1}, {"KiB", 1024}, {"MiB", 1048576}, {"GiB", 1073741824}}};
  return detail::scaled(bytes, units);
}

/// As a person writes it, and as `parse_bytes` takes it: 0, 4096, 64KiB, 1GiB.
inline std::string exact_bytes(std::uint64_t bytes) {
  static constexpr std::array<detail::unit, 3> units{
      {{"GiB", 1073741824}, {"MiB", 1048576}, {"KiB", 1024}}};
  for (const detail::unit& u : units)
    if (const auto factor = static_cast<std::uint64_t>(u.factor); bytes != 0 && bytes % factor == 0)
      return std::to_string(bytes / factor) + std::string(u.name);
  return std::to_string(bytes);
}

/// Bytes: 65536, 64k, 64K, 64KiB, 1M, 1MiB, 1G, 1GiB; the units are powers of 1024.
inline std::optional<std::uint64_t> parse_bytes(std::string_view text) {
  static constexpr std::array<detail::unit, 12> units{{{"", 1},
                                                       {"B", 1},
                                                       {"k", 1024},
                                                       {"K", 1024},
                                                       {"KiB", 1024},
                                                       {"m", 1048576},
                                                       {"M", 1048576},
                                                       {"MiB", 1048576},
                                                       {"g", 1073741824},
                                                       {"G", 1073741824},
                                                       {"GiB", 1073741824},
                                                       {"kiB", 1024}}};
  return detail::parse(text, units);
}

/// A time: 0, 300ms, 1.5s, 20us, 100ns, 1min. A bare number is seconds.
inline std::optional<std::chrono::nanoseconds> parse_duration(std::string_view text) {
  static constexpr std::array<detail::unit, 6> units{
      {{"", 1e9}, {"ns", 1}, {"us", 1e3}, {"ms", 1e6}, {"s", 1e9}, {"min", 6e10}}};
  const auto value = detail::parse(text, units);
  if (!value) return std::nullopt;
  return std::chrono::nanoseconds(static_cast<std::int64_t>(*value));
}

}  // namespace ringbell::tool
