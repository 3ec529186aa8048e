// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/doorbell.hpp>

#include <ringbell/errors.hpp>

#include "sys/windows/pipe_state.hpp"

namespace ringbell::sys {

// Windows has no object that combines several others. But the bell is an event, and the pipe
// reports by an event too, so the pipe is made to use the bell's event.
doorbell doorbell::create(local_socket& control, const event_bell& bell,
                          std::error_code& error) noexcept {
  doorbell made;
  if (!control) {
    error = std::make_error_code(std::errc::bad_file_descriptor);
    return made;
  }
  if (bell)
    error = control.end_->signal_by(bell.native());
  else
    error.clear();
  if (!error) made.set_ = duplicate_of(control.native(), error);
  return made;
}

// The wait has reset the event. Looking for the hang-up needs no system call.
bool doorbell::answer(local_socket& control) noexcept { return control && control.drain(); }

}  // namespace ringbell::sys
