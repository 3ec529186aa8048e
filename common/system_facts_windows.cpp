// SPDX-License-Identifier: BSL-1.0
#include "common/system_facts.hpp"

#include <windows.h>
// After it:
#include <winternl.h>

#include <fstream>

namespace ringbell::tool {

namespace {

template <class Function>
Function* of_ntdll(const char* name) noexcept {
  const HMODULE library = ::GetModuleHandleW(L"ntdll.dll");
  return library
             ? reinterpret_cast<Function*>(reinterpret_cast<void*>(::GetProcAddress(library, name)))
             : nullptr;
}

}  // namespace

std::string kernel_release() {
  OSVERSIONINFOW version{};
  version.dwOSVersionInfoSize = sizeof version;
  // GetVersionEx says what the program's manifest wants to hear.
  if (auto* const ask = of_ntdll<LONG NTAPI(OSVERSIONINFOW*)>("RtlGetVersion")) ask(&version);
  std::string text = "Windows " + std::to_string(version.dwMajorVersion) + '.' +
                     std::to_string(version.dwMinorVersion) + '.' +
                     std::to_string(version.dwBuildNumber);
  if (auto* const wine = of_ntdll<const char*(void)>("wine_get_version"))
    text += std::string(", as Wine ") + wine() + " has it";
  return text;
}

std::string cpu_model() {
  char name[256] = "x86-64";
  DWORD bytes = sizeof name;
  (void)::RegGetValueA(HKEY_LOCAL_MACHINE, R"(HARDWARE\DESCRIPTION\System\CentralProcessor\0)",
                       "ProcessorNameString", RRF_RT_REG_SZ, nullptr, name, &bytes);
  const std::string text = name;
  return text.substr(0, text.find_last_not_of(' ') + 1);
}

std::string first_line(const char* path) {
  std::ifstream file(path);
  std::string line;
  std::getline(file, line);
  return line;
}

}  // namespace ringbell::tool
