// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/doorbell.hpp>

#include <ringbell/errors.hpp>

#include "sys/posix/syscall.hpp"

#include <fcntl.h>
#include <sys/socket.h>
#include <cstddef>

namespace ringbell::sys {

// The only bell is the control socket, and a second descriptor of it is all that is needed. Not a kqueue with the socket in it: that stays readable
// when the socket has been emptied, and then does not tell that the next byte is there.
doorbell doorbell::create(native_handle control, native_handle bell, std::error_code& error) noexcept {
  doorbell made;
  if (bell != invalid_handle) {
    error = errc::not_supported;
    return made;
  }
  made.set_ = handle(::fcntl(control, F_DUPFD_CLOEXEC, 0));
  error = made.set_ ? std::error_code() : last_error();
  return made;
}

bool doorbell::answer() noexcept {
  std::byte next{};
  const auto seen = retry([&] { return ::recv(set_.get(), &next, 1, MSG_PEEK | MSG_DONTWAIT); });
  return seen == 0 || (seen < 0 && errno != EAGAIN && errno != EWOULDBLOCK);
}

}  // namespace ringbell::sys
