// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "contenders.hpp"
#include "contest.hpp"

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

namespace ringbell::bench {

/// The messages of a user's own case: the bytes of a file, whole or in records.
struct user_messages {
  std::vector<std::byte> bytes;
  std::size_t record = 0;  ///< bytes of each message but the last, which may be shorter

  std::size_t count() const noexcept { return (bytes.size() + record - 1) / record; }
  std::span<const std::byte> at(std::uint64_t i) const noexcept {
    const std::size_t begin = static_cast<std::size_t>(i % count()) * record;
    return std::span(bytes).subspan(begin, std::min(record, bytes.size() - begin));
  }
};

/// A record of 0 bytes stands for the whole file. Throws `std::runtime_error`, which says what is
/// wrong with the file or the record.
user_messages read_user_messages(const std::string& file, std::uint64_t record);

/// ringbell, and a Unix socket by hand. The messages have to outlive them.
contender_list user_contenders(const user_messages& messages);

/// Round trips at so many messages a second.
bench_case user_case(const user_messages& messages, std::uint64_t rate);

/// Whether ringbell pays for what was measured.
struct verdict {
  enum class outcome : std::uint8_t { pays, does_not_pay, no_difference, trade, cannot_tell };
  outcome what = outcome::cannot_tell;
  std::string sentence;
};
const char* name_of(verdict::outcome what) noexcept;

/// Compares round by round. What lies within a tenth, or is not so in four fifths of the rounds, is
/// no difference.
verdict judge(const contender_figures& ringbell, const contender_figures& socket);

inline constexpr const char* user_ringbell = "ringbell";
inline constexpr const char* user_socket = "unix-socket";

}  // namespace ringbell::bench
