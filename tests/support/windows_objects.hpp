// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include "sys/windows/win32.hpp"

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <system_error>

/// What tests of Windows' own objects need; for programs that do not use this library, too.
namespace ringbell::test {

struct result_text {
  std::error_code error;
  std::string text;
};

/// Whether an event is set, and takes it if it is auto-reset. Waits for 10 seconds at most.
inline bool signalled(sys::native_handle event) {
  return ::WaitForSingleObject(event, 10'000) == WAIT_OBJECT_0;
}
/// Likewise, without waiting.
inline bool is_signalled(sys::native_handle event) {
  return ::WaitForSingleObject(event, 0) == WAIT_OBJECT_0;
}

inline sys::handle make_semaphore() {
  return sys::handle(::CreateSemaphoreW(nullptr, 0, 1, nullptr));
}

inline std::uint64_t value_of(sys::native_handle h) { return reinterpret_cast<std::uintptr_t>(h); }

/// Whether Wine runs this program, and not Windows; the two differ in places.
inline bool under_wine() { return sys::system_function<void()>("wine_get_version") != nullptr; }

inline bool can_be_mapped_for_writing(const sys::handle& section) {
  void* const view = ::MapViewOfFile(section.get(), FILE_MAP_WRITE, 0, 0, 0);
  if (view) ::UnmapViewOfFile(view);
  return view != nullptr;
}

/// Whether a duplicate with the right to write can be made of a section that can be read.
inline bool can_become_writable(const sys::handle& section) {
  HANDLE made = nullptr;
  const HANDLE here = ::GetCurrentProcess();
  if (!::DuplicateHandle(here, section.get(), here, &made, SECTION_MAP_WRITE, FALSE, 0))
    return false;
  ::CloseHandle(made);
  return true;
}

// -- a peer that does not use this library --

inline std::string unique_pipe_path() {
  static std::atomic<unsigned> count{0};
  return "\\\\.\\pipe\\ringbell-test-" + std::to_string(::GetCurrentProcessId()) + '-' +
         std::to_string(++count);
}

/// As the protocol has it: what each direction begins with.
struct raw_block {
  std::uint32_t count = 0;
  std::uint32_t reserved = 0;
  std::array<std::uint64_t, 4> values{};
};

inline sys::handle make_raw_pipe(const std::string& path) {
  return sys::owned_file(::CreateNamedPipeA(path.c_str(), PIPE_ACCESS_DUPLEX, PIPE_TYPE_BYTE, 1,
                                            4096, 4096, 0, nullptr));
}
inline sys::handle open_raw_pipe(const std::string& path) {
  return sys::owned_file(::CreateFileA(path.c_str(), GENERIC_READ | FILE_WRITE_DATA, 0, nullptr,
                                       OPEN_EXISTING,
                                       SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, nullptr));
}
inline bool write_raw(const sys::handle& pipe, const std::string& bytes) {
  DWORD written = 0;
  return ::WriteFile(pipe.get(), bytes.data(), static_cast<DWORD>(bytes.size()), &written,
                     nullptr) &&
         written == bytes.size();
}

}  // namespace ringbell::test
