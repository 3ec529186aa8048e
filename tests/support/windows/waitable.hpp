// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include "support/child_process.hpp"

#include <stdexcept>

namespace ringbell::test {

/// Something that a loop can wait for: an event, signalled until it is taken. Child processes
/// inherit it.
class waitable {
public:
  waitable() {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    event_ = sys::handle(::CreateEventW(&inherited, TRUE, FALSE, nullptr));
    if (!event_) throw std::runtime_error("CreateEvent failed");
  }
  /// In a child.
  explicit waitable(sys::native_handle inherited) : event_(inherited) {}
  sys::native_handle native() const noexcept { return event_.get(); }
  void signal() const {
    if (!::SetEvent(event_.get())) throw std::runtime_error("cannot signal");
  }
  /// False when nobody has signalled.
  bool take() const noexcept {
    return ::WaitForSingleObject(event_.get(), 0) == WAIT_OBJECT_0 && ::ResetEvent(event_.get());
  }
  void close() noexcept { event_.reset(); }

private:
  sys::handle event_;
};

namespace child_detail {

template <>
struct travel<waitable> {
  using as = sys::native_handle;
  static as pack(const waitable& value) { return value.native(); }
  static waitable unpack(as inherited) { return waitable(inherited); }
};

}  // namespace child_detail

}  // namespace ringbell::test
