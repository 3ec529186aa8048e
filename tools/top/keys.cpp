// SPDX-License-Identifier: BSL-1.0
#include "top/keys.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

namespace ringbell::tool::top {

namespace {

constexpr char escape = '\x1b';
// No key is longer; whatever is, somebody typed.
constexpr std::size_t longest_sequence = 16;

constexpr std::array<std::pair<std::string_view, key>, 14> sequences{{
    {"[A", key::up},
    {"OA", key::up},
    {"[B", key::down},
    {"OB", key::down},
    {"[5~", key::page_up},
    {"[6~", key::page_down},
    {"[H", key::home},
    {"OH", key::home},
    {"[1~", key::home},
    {"[7~", key::home},
    {"[F", key::end},
    {"OF", key::end},
    {"[4~", key::end},
    {"[8~", key::end},
}};

std::optional<key> known(std::string_view sequence) noexcept {
  const auto found = std::find_if(sequences.begin(), sequences.end(),
                                  [=](const auto& s) { return s.first == sequence; });
  return found == sequences.end() ? std::nullopt : std::optional(found->second);
}

/// Behind the escape: `[` and parameters up to a letter or tilde, or `O` and one character
/// (ECMA-48, and xterm's application mode).
bool complete(std::string_view sequence) noexcept {
  if (sequence.front() == 'O') return sequence.size() == 2;
  return sequence.front() != '[' ||
         (sequence.size() > 1 && sequence.back() >= '@' && sequence.back() <= '~');
}

}  // namespace

std::vector<key> key_reader::take(std::string_view bytes) {
  std::vector<key> keys;
  for (const char c : bytes) {
    if (c == escape) {
      begun_ = c;
    } else if (begun_.empty()) {
      keys.push_back(character(c));
    } else {
      begun_ += c;
      const std::string_view sequence = std::string_view(begun_).substr(1);
      if (!complete(sequence) && begun_.size() < longest_sequence) continue;
      if (const auto k = known(sequence)) keys.push_back(*k);
      begun_.clear();
    }
  }
  return keys;
}

}  // namespace ringbell::tool::top
