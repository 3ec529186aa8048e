// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <windows.h>

#include <chrono>

namespace ringbell::test {

/// Whether the object is signalled within that time; an auto-reset event is reset then.
inline bool readable_within(sys::native_handle h, std::chrono::milliseconds limit) {
  return ::WaitForSingleObject(h, static_cast<DWORD>(limit.count())) == WAIT_OBJECT_0;
}

}  // namespace ringbell::test
