// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include "support/windows/handle_count.hpp"

#include <tlhelp32.h>
#include <windows.h>

#include <chrono>
#include <cstdint>

/// What tests ask of Windows about what processes use.
namespace ringbell::test {

/// What the system has counted for a process: for its threads, which is all that Wine tells of
/// another process. What threads had used that have ended is lost.
struct usage {
  std::int64_t sleeps = 0;  ///< not counted here
  std::chrono::nanoseconds cpu{0};
  /// In what steps `cpu` grows: ticks of the clock, of up to 15.6 ms.
  static constexpr std::chrono::nanoseconds cpu_step = std::chrono::milliseconds(16);

  static usage of(DWORD process) {
    usage u;
    const sys::handle all(::CreateToolhelp32Snapshot(TH32CS_SNAPTHREAD, 0));
    THREADENTRY32 thread{};
    thread.dwSize = sizeof thread;
    for (BOOL more = ::Thread32First(all.get(), &thread); more;
         more = ::Thread32Next(all.get(), &thread)) {
      if (thread.th32OwnerProcessID != process) continue;
      const sys::handle opened(::OpenThread(THREAD_QUERY_INFORMATION, FALSE, thread.th32ThreadID));
      FILETIME begun{}, ended{}, kernel{}, user{};
      if (::GetThreadTimes(opened.get(), &begun, &ended, &kernel, &user))
        u.cpu += time_of(kernel) + time_of(user);
    }
    return u;
  }
  friend usage operator-(const usage& a, const usage& b) {
    return {a.sleeps - b.sleeps, a.cpu - b.cpu};
  }

private:
  static std::chrono::nanoseconds time_of(const FILETIME& t) {
    return std::chrono::nanoseconds((std::int64_t{t.dwHighDateTime} << 32 | t.dwLowDateTime) * 100);
  }
};

/// Whether a process sleeps. The system tells in no way that Wine knows: so whether it has used no
/// processor time for several ticks.
inline bool asleep(DWORD process) {
  const auto before = usage::of(process).cpu;
  ::Sleep(100);
  return usage::of(process).cpu == before;
}

/// How many handles another process of this user has open.
inline int descriptors_of(DWORD process) {
  const sys::handle of(::OpenProcess(PROCESS_DUP_HANDLE, FALSE, process));
  return count_handles([&](HANDLE h) {
    HANDLE copy = nullptr;
    if (!::DuplicateHandle(of.get(), h, ::GetCurrentProcess(), &copy, 0, FALSE,
                           DUPLICATE_SAME_ACCESS))
      return false;
    ::CloseHandle(copy);
    return true;
  });
}

}  // namespace ringbell::test
