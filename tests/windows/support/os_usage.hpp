// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include <windows.h>

#include <cstdint>

/// What tests ask of Windows about what processes use.
namespace ringbell::test {

/// How many handles another process of this user has open, of the lowest thousands. Wine does not count them itself.
inline int descriptors_of(DWORD process) {
  const sys::handle of(::OpenProcess(PROCESS_DUP_HANDLE, FALSE, process));
  int count = 0;
  for (std::uintptr_t value = 4; value < 4 * 4096; value += 4) {
    HANDLE copy = nullptr;
    if (!::DuplicateHandle(of.get(), reinterpret_cast<HANDLE>(value), ::GetCurrentProcess(), &copy, 0, FALSE, DUPLICATE_SAME_ACCESS))
      continue;
    ::CloseHandle(copy);
    ++count;
  }
  return count;
}

}  // namespace ringbell::test
