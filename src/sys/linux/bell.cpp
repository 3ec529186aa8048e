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
  // Asking for the kernel's name of the object is the one test that does not touch it (a read or a
  // write could block, or do harm). No file can take that name: those of files start with a slash.
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
  // One read takes the whole counter. EAGAIN: nobody rang, which is just as well.
  std::uint64_t rung;
  (void)retry([&] { return ::read(handle_.get(), &rung, sizeof rung); });
}

void event_bell::rearm() noexcept {
}  // each write is an event, whether the counter has been read or not

}  // namespace ringbell::sys
