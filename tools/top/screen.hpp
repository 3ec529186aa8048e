// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "top/table.hpp"

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

// What `ringbell top` draws. No I/O.
namespace ringbell::tool::top {

/// What is shown, and how.
struct view {
  view() noexcept {}
  std::string name;
  std::optional<std::uint64_t> process;  ///< of the service, if it has a number here
  std::string command;
  std::chrono::nanoseconds interval{0};
  char sorted_by = 'n';
  bool reversed = false;
  std::size_t first = 0;  ///< row at the top
  table clients;
};

struct screen_size {
  int columns = 80;
  int lines = 24;
  friend bool operator==(const screen_size&, const screen_size&) = default;
};

/// A line without control characters, never longer than the screen is wide; and which part of it
/// stands out.
struct screen_line {
  enum class look : std::uint8_t { plain, bold, reverse };
  screen_line() noexcept {}
  screen_line(std::string t, look l) : text(std::move(t)), how(l) {}
  std::string text;
  look how = look::plain;
  std::size_t marked_from = 0;  ///< drawn plain within a reversed line, bold within others
  std::size_t marked_to = 0;
};

/// How many rows fit below the heads and above the total.
std::size_t rows_on(screen_size size) noexcept;
/// The whole screen: `size.lines` lines, the last one the total. Columns that do not fit are left
/// out, those on the right first.
std::vector<screen_line> draw(const view& v, screen_size size);
/// The lines as a terminal wants them, from its upper left corner on, over whatever was there.
/// Without `highlights` no part of it stands out.
std::string frame(const std::vector<screen_line>& lines, bool highlights = true);
/// All columns and rows as plain text.
std::string text(const view& v);
/// One line of JSON (docs/command-line.md).
std::string as_json(const view& v);

}  // namespace ringbell::tool::top
