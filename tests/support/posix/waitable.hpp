// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include "support/descriptors.hpp"

#include <unistd.h>

#include <stdexcept>

namespace ringbell::test {

/// Something that a loop can wait for: readable from a signal on, until it is taken. Child
/// processes inherit it.
class waitable {
public:
  waitable() {
    int ends[2] = {-1, -1};
    if (pipe_closed_on_exec(ends) != 0) throw std::runtime_error("pipe failed");
    do_not_block(ends);
    reading_ = sys::handle(ends[0]);
    writing_ = sys::handle(ends[1]);
  }
  sys::native_handle native() const noexcept { return reading_.get(); }
  void signal() const {
    if (::write(writing_.get(), "", 1) != 1) throw std::runtime_error("cannot signal");
  }
  /// False when nobody has signalled.
  bool take() const noexcept {
    char c;
    bool any = false;
    while (::read(reading_.get(), &c, 1) == 1) any = true;
    return any;
  }
  void close() noexcept { reading_.reset(); }

private:
  sys::handle reading_;
  sys::handle writing_;
};

}  // namespace ringbell::test
