// SPDX-License-Identifier: BSL-1.0
#pragma once

#ifndef WIN32_LEAN_AND_MEAN
#define WIN32_LEAN_AND_MEAN
#endif
#ifndef NOMINMAX
#define NOMINMAX
#endif
#include <windows.h>
// After it:
#include <winternl.h>

#include <ringbell/sys/handle.hpp>

#include <string>
#include <string_view>
#include <system_error>

namespace ringbell::sys {

inline std::error_code error_of(DWORD code) noexcept {
  return {static_cast<int>(code), std::system_category()};
}
/// What the last system call of this thread failed with.
inline std::error_code last_error() noexcept { return error_of(::GetLastError()); }

/// What CreateFileW and CreateNamedPipeW return: their failure is not the null that everybody
/// else's is.
inline handle owned_file(HANDLE made) noexcept {
  return made == INVALID_HANDLE_VALUE ? handle() : handle(made);
}

/// A second handle to the same object. Errors: the system's.
handle duplicate_of(native_handle h, std::error_code& error) noexcept;

/// A function of ntdll.dll, which has no import library of its own everywhere. Null where it does
/// not exist.
template <class Function>
Function* system_function(const char* name) noexcept {
  const HMODULE library = ::GetModuleHandleW(L"ntdll.dll");
  return library
             ? reinterpret_cast<Function*>(reinterpret_cast<void*>(::GetProcAddress(library, name)))
             : nullptr;
}

/// UTF-8 for the system's calls. Empty when it is none, or empty, or has a zero in it.
std::wstring wide(std::string_view text);

/// For what only its creator, and those whom it gives a handle, shall ever open: a handle that was
/// duplicated with few rights cannot be turned into one with more, also not by the owner's other
/// processes. Null when there is no memory for it: then the object must not be created.
SECURITY_ATTRIBUTES* closed_to_all() noexcept;

}  // namespace ringbell::sys
