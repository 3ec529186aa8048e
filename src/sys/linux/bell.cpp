// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/bell.hpp>

#include "sys/posix/syscall.hpp"

#include <sys/eventfd.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <string_view>

namespace ringbell::sys {

bell_set system_bells() noexcept {
  return bell_bit(bell_kind::eventfd) | bell_bit(bell_kind::socket) | bell_bit(bell_kind::futex);
}

event_bell event_bell::create(std::error_code& error) noexcept {
  const int fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  error = fd < 0 ? last_error() : std::error_code();
  return event_bell(handle(fd));
}

bool event_bell::is_event(native_handle h) noexcept {
  // Reading the kernel's name of the object is the only test that does not touch the object (a read
  // or a write could block, or do harm). No file can have that name, because the names of files
  // start with a slash.
  std::array<char, 32> link;
  std::array<char, 64> target;
  std::snprintf(link.data(), link.size(), "/proc/self/fd/%d", h);
  const auto length = ::readlink(link.data(), target.data(), target.size());
  return length > 0 && std::string_view(target.data(), static_cast<std::size_t>(length)) ==
                           "anon_inode:[eventfd]";
}

std::error_code event_bell::ring() noexcept {
  const std::uint64_t one = 1;
  const auto written = insist([&] { return ::write(handle_.get(), &one, sizeof one); });
  return written >= 0 || errno == EAGAIN ? std::error_code() : last_error();
}

void event_bell::drain() noexcept {
  // One read takes the whole counter. EAGAIN means that nothing was rung, which is fine.
  std::uint64_t rung;
  (void)retry([&] { return ::read(handle_.get(), &rung, sizeof rung); });
}

// There is nothing to do: each write causes an event, whether or not the counter has been read.
void event_bell::rearm() noexcept {}

}  // namespace ringbell::sys
