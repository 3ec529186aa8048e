// SPDX-License-Identifier: BSL-1.0
#include "doctor/doctor.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/region.hpp>

#include <windows.h>

#include <utility>

namespace ringbell::tool {

namespace {

bool in_ntdll(const char* name) noexcept {
  const HMODULE library = ::GetModuleHandleW(L"ntdll.dll");
  return library && ::GetProcAddress(library, name);
}

bool is_wine() noexcept { return in_ntdll("wine_get_version"); }

// What a peer could try with the handle of a region; each must fail. The name of the first that
// does not, or null.
const char* broken_promise(HANDLE section) noexcept {
  if (void* const writable = ::MapViewOfFile(section, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0)) {
    ::UnmapViewOfFile(writable);
    return "it can be mapped for writing";
  }
  if (void* const readable = ::MapViewOfFile(section, FILE_MAP_READ, 0, 0, 0)) {
    DWORD before;
    const bool raised = ::VirtualProtect(readable, 1, PAGE_READWRITE, &before) != 0;
    ::UnmapViewOfFile(readable);
    if (raised) return "a mapping for reading can be made one for writing";
  }
  HANDLE more = nullptr;
  if (::DuplicateHandle(::GetCurrentProcess(), section, ::GetCurrentProcess(), &more,
                        FILE_MAP_READ | FILE_MAP_WRITE, FALSE, 0)) {
    const sys::handle owned(more);
    if (void* const writable = ::MapViewOfFile(more, FILE_MAP_READ | FILE_MAP_WRITE, 0, 0, 0)) {
      ::UnmapViewOfFile(writable);
      return "a handle for writing can be made of it";
    }
  }
  return nullptr;
}

}  // namespace

std::string platform_word() {
  return is_wine()
             ? "Windows: run under Wine, with the whole test suite that applies; not run on the real system"
             : "Windows: built with mingw-w64, and run under Wine with the whole test suite that applies; not run on the real system";
}

namespace {

findings look_at_system() {
  const bool packets = in_ntdll("NtAssociateWaitCompletionPacket");
  return {
      {"waits", verdict::ok,
       packets
           ? "the kernel puts what happened into the loop's port (wait completion packets)"
           : "the system's thread pool waits for the loop (no wait completion packets: Wine, Windows 7)"},
      {"futexes", verdict::ok, "within a process only, as Windows has them; no loop needs them"}};
}

}  // namespace

std::vector<trial> trials_of_system() {
  std::vector<trial> all;
  for (const finding& f : look_at_system())
    all.push_back({"system", verdict::limited, [f] { return f; }});
  return all;
}

finding look_at_memory() {
  constexpr const char* what = "shared memory";
  std::error_code error;
  const sys::region own = sys::region::create(sys::page_size(), error);
  if (error) return {what, verdict::missing, error.message()};
  HANDLE made = nullptr;
  if (!::DuplicateHandle(::GetCurrentProcess(), own.shared_handle(), ::GetCurrentProcess(), &made,
                         SECTION_MAP_READ | SECTION_QUERY, FALSE, 0))
    return {what, verdict::missing, "a section's handle cannot be duplicated"};
  sys::handle passed(made);
  if (const char* broken = broken_promise(passed.get()))
    return {
        what, verdict::limited,
        std::string("a peer must be trusted: with the handle for reading that it gets, ") + broken};
  const sys::peer_region seen = sys::peer_region::map(std::move(passed), own.size(), error);
  if (error) return {what, verdict::missing, error.message()};
  return {what, verdict::ok,
          "a peer can map it for reading; writing is refused (tried), and its size cannot change"};
}

findings look_at_limits() { return {}; }

}  // namespace ringbell::tool
