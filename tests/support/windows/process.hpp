// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include "support/patience.hpp"
#include "support/windows/handle_count.hpp"

#include <doctest/doctest.h>

#include <windows.h>

// Words of sixteen bits ago, and of tests.
#undef near
#undef far
#undef NEAR
#undef FAR
#define NEAR
#define FAR

#include <atomic>
#include <chrono>
#include <cstdint>
#include <mutex>
#include <set>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ringbell::test {

/// There is no fork: what needs it is skipped.
template <class F>
int run_in_child(F) {
  MESSAGE("skipped: Windows has no fork");
  return 0;
}

/// Lets processes tell each other how far they are. Child processes inherit it.
class milestone {
public:
  milestone() {
    SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
    reached_ = ::CreateEventW(&inherited, FALSE, FALSE, nullptr);
    if (!reached_) throw std::runtime_error("CreateEvent failed");
  }
  /// In a child.
  explicit milestone(sys::native_handle inherited) : reached_(inherited) {}
  milestone(const milestone&) = delete;
  milestone& operator=(const milestone&) = delete;
  ~milestone() { ::CloseHandle(reached_); }
  void reach() const { ::SetEvent(reached_); }
  void wait() const { ::WaitForSingleObject(reached_, INFINITE); }
  sys::native_handle native() const { return reached_; }

private:
  sys::native_handle reached_;
};

/// Names of servers that are the test's own. No folder: the names of pipes have none.
class temporary_folder {
public:
  temporary_folder() {
    static std::atomic<unsigned> count{0};
    LARGE_INTEGER now;
    ::QueryPerformanceCounter(&now);
    path_ = R"(\\.\pipe\ringbell-test-)" + std::to_string(::GetCurrentProcessId()) + '-' +
            std::to_string(now.QuadPart) + '-' + std::to_string(++count);
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const {
    const std::lock_guard lock(mutex_);
    given_.insert(name);
    return path_ + '-' + name;
  }
  /// Those that this process has asked for.
  std::set<std::string> given() const {
    const std::lock_guard lock(mutex_);
    return given_;
  }

private:
  std::string path_;
  mutable std::mutex mutex_;
  mutable std::set<std::string> given_;
};

/// The servers that hold names of such a folder. Each name is asked for: Wine does not list pipes.
inline std::vector<std::string> left_in(const temporary_folder& folder) {
  std::vector<std::string> names;
  for (const std::string& name : folder.given())
    if (::WaitNamedPipeA((folder / name).c_str(), 1) || ::GetLastError() != ERROR_FILE_NOT_FOUND)
      names.push_back(name);
  return names;
}

/// How many handles threads of the system's own pool may take meanwhile, or give back.
inline constexpr int handles_of_the_system = 4;

/// How many handles this process has open.
inline int open_descriptors() {
  return count_handles([](HANDLE h) {
    DWORD flags;
    return ::GetHandleInformation(h, &flags) != 0;
  });
}

/// Looks again and again, without assuming how long it takes, until `condition` holds; false when
/// it does not for too long.
template <class F>
bool eventually(F condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::Sleep(1);
  }
  return true;
}

}  // namespace ringbell::test
