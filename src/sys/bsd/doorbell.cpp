// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/doorbell.hpp>

#include <ringbell/errors.hpp>

#include "sys/posix/syscall.hpp"

#include <fcntl.h>

namespace ringbell::sys {

// The only bell is the control socket, so a second descriptor of it is enough. A kqueue that
// contains the socket does not work: it stays readable after the socket has been emptied, and then
// does not announce the next byte.
doorbell doorbell::create(local_socket& control, const event_bell& bell,
                          std::error_code& error) noexcept {
  doorbell made;
  if (bell) {
    error = errc::not_supported;
    return made;
  }
  made.set_ = handle(::fcntl(control.native(), F_DUPFD_CLOEXEC, 0));
  error = made.set_ ? std::error_code() : last_error();
  return made;
}

bool doorbell::answer(local_socket& control) noexcept { return control.drain(); }

}  // namespace ringbell::sys
