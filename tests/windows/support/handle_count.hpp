// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <windows.h>

#include <cstdint>
#include <stdexcept>
#include <vector>

namespace ringbell::test {

/// How many handles a process has open. Out of the list of all processes': Wine does not count them, and to try each number takes it a second.
inline int handles_of(DWORD process) {
  struct entry {
    void* object;
    std::uintptr_t process;
    std::uintptr_t value;
    ULONG access;
    USHORT trace, type;
    ULONG attributes, reserved;
  };
  struct header {
    std::uintptr_t count, reserved;
  };
  constexpr int all_handles = 64;  // SystemExtendedHandleInformation, of winternl.h's SYSTEM_INFORMATION_CLASS
  constexpr LONG too_small = static_cast<LONG>(0xC0000004);
  using query = LONG NTAPI(int, void*, ULONG, ULONG*);
  static auto* const ask =
      reinterpret_cast<query*>(reinterpret_cast<void*>(::GetProcAddress(::GetModuleHandleW(L"ntdll.dll"), "NtQuerySystemInformation")));

  std::vector<entry> list(1024);  // the header takes the place of the first
  LONG status;
  while ((status = ask(all_handles, list.data(), static_cast<ULONG>(list.size() * sizeof(entry)), nullptr)) == too_small)
    list.resize(list.size() * 2);
  if (status != 0) throw std::runtime_error("the system does not tell of its handles");
  const auto count = reinterpret_cast<const header*>(list.data())->count;
  const auto* const first = reinterpret_cast<const entry*>(reinterpret_cast<const header*>(list.data()) + 1);
  int found = 0;
  for (const entry* e = first; e != first + count; ++e)
    if (e->process == process) ++found;
  return found;
}

}  // namespace ringbell::test
