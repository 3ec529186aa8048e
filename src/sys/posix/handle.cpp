// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/handle.hpp>

#include "sys/posix/syscall.hpp"

#include <fcntl.h>
#include <unistd.h>

namespace ringbell::sys {

void handle::reset() noexcept {
  // close() is not repeated on EINTR: these systems have freed the number by then, and another
  // thread may have got it.
  if (h_ != invalid_handle) ::close(std::exchange(h_, invalid_handle));
}

handle handle::duplicate(std::error_code& error) const noexcept {
  const int copy = ::fcntl(h_, F_DUPFD_CLOEXEC, 0);
  error = copy < 0 ? last_error() : std::error_code();
  return handle(copy);
}

}  // namespace ringbell::sys
