// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/user_id.hpp>

#include "sys/posix/syscall.hpp"

#include <ringbell/sys/handle.hpp>

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace ringbell::sys {

namespace {

constexpr std::uint64_t usual_overflow_user = 65534;
// The number of user ids; the last number is not an id.
constexpr std::uint64_t all_users = 0xffffffff;

/// A file of /proc, as far as it fits. It does not use the stream classes, because this runs while
/// a client is admitted, possibly without memory.
class small_file {
public:
  explicit small_file(const char* path) noexcept {
    const handle file(retry([&] { return ::open(path, O_RDONLY | O_CLOEXEC); }));
    if (!file) return;
    const auto n = retry([&] { return ::read(file.get(), text_.data(), text_.size()); });
    if (n > 0) rest_ = std::string_view(text_.data(), static_cast<std::size_t>(n));
  }

  /// Finds the next number. Returns false at the end.
  bool next(std::uint64_t& number) noexcept {
    const auto digit = rest_.find_first_of("0123456789");
    if (digit == rest_.npos) return false;
    const auto [end, error] =
        std::from_chars(rest_.data() + digit, rest_.data() + rest_.size(), number);
    rest_.remove_prefix(static_cast<std::size_t>(end - rest_.data()));
    return error == std::errc();
  }

private:
  std::array<char, 4096> text_;
  std::string_view rest_;
};

std::uint64_t overflow_user() noexcept {
  std::uint64_t user = usual_overflow_user;
  small_file("/proc/sys/kernel/overflowuid").next(user);
  return user;
}

// The map has lines of three numbers: the first id inside, the first id outside, and the count. It
// can be written at any time, but only once.
bool sees_all_users() noexcept {
  small_file map("/proc/self/uid_map");
  std::uint64_t inside = 0, outside = 0, count = 0, total = 0;
  while (map.next(inside) && map.next(outside) && map.next(count)) total += count;
  return total >= all_users;
}

}  // namespace

bool names_one_user(const user_id& user) noexcept {
  static const std::uint64_t overflow = overflow_user();
  return user != overflow || sees_all_users();
}

}  // namespace ringbell::sys
