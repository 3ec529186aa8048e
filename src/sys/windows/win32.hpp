// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
// These have to come after windows.h:
#include <winternl.h>

#include <ringbell/sys/handle.hpp>

#include <string>
#include <string_view>
#include <system_error>

namespace ringbell::sys {

inline std::error_code error_of(DWORD code) noexcept {
  return {static_cast<int>(code), std::system_category()};
}
/// The error of the last failed system call of this thread.
inline std::error_code last_error() noexcept { return error_of(::GetLastError()); }

/// Owns the result of CreateFileW or CreateNamedPipeW, which is INVALID_HANDLE_VALUE on failure,
/// not null as with other functions.
inline handle owned_file(HANDLE made) noexcept {
  return made == INVALID_HANDLE_VALUE ? handle() : handle(made);
}

/// A second handle to the same object.
/// Errors: the system's.
handle duplicate_of(native_handle h, std::error_code& error) noexcept;

/// A function of ntdll.dll, which does not have an import library everywhere. Null when the
/// function does not exist.
template <class Function>
Function* system_function(const char* name) noexcept {
  const HMODULE library = ::GetModuleHandleW(L"ntdll.dll");
  return library
             ? reinterpret_cast<Function*>(reinterpret_cast<void*>(::GetProcAddress(library, name)))
             : nullptr;
}

/// UTF-8 text in the form for system calls. Empty when the text is empty, is not valid UTF-8, or
/// contains a zero.
std::wstring wide(std::string_view text);

/// The security attributes of an object that only its creator, and the processes to which it sends
/// a handle, may open. A handle that was duplicated with few rights cannot be turned into one with
/// more rights, not even by other processes of the same user. Null when there is no memory for the
/// attributes; the object must not be created then.
SECURITY_ATTRIBUTES* closed_to_all() noexcept;

}  // namespace ringbell::sys
