// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/foreign_handle.hpp>
#include <ringbell/sys/handle.hpp>

#include "sys/windows/win32.hpp"

#include <sddl.h>

namespace ringbell::sys {

void handle::reset() noexcept {
  if (h_ != invalid_handle) ::CloseHandle(std::exchange(h_, invalid_handle));
}

handle handle::duplicate(std::error_code& error) const noexcept { return duplicate_of(h_, error); }

// Peers send only sections and events, and with the rights of these, closing them waits for no
// process.
void close_elsewhere(handle from_peer) noexcept { from_peer.reset(); }
std::size_t closing_elsewhere() noexcept { return 0; }

handle duplicate_of(native_handle h, std::error_code& error) noexcept {
  const HANDLE here = ::GetCurrentProcess();
  HANDLE copy = nullptr;
  error = ::DuplicateHandle(here, h, here, &copy, 0, FALSE, DUPLICATE_SAME_ACCESS)
              ? std::error_code()
              : last_error();
  return handle(error ? nullptr : copy);
}

std::wstring wide(std::string_view text) {
  if (text.empty() || text.size() > 32767 || text.find('\0') != text.npos) return {};
  const int bytes = static_cast<int>(text.size());
  const int length =
      ::MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), bytes, nullptr, 0);
  std::wstring made(static_cast<std::size_t>(length), L'\0');
  ::MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, text.data(), bytes, made.data(), length);
  return made;
}

SECURITY_ATTRIBUTES* closed_to_all() noexcept {
  // A protected list of rights with one entry: the owner may read the list, and nothing else.
  // Without that entry an owner may always change it. (Wine ignores the entry and lets the owner do
  // so.)
  static SECURITY_ATTRIBUTES attributes = [] {
    SECURITY_ATTRIBUTES made{sizeof(SECURITY_ATTRIBUTES), nullptr, FALSE};
    ::ConvertStringSecurityDescriptorToSecurityDescriptorW(L"D:P(A;;RC;;;OW)", SDDL_REVISION_1,
                                                           &made.lpSecurityDescriptor, nullptr);
    return made;
  }();
  return attributes.lpSecurityDescriptor ? &attributes : nullptr;
}

}  // namespace ringbell::sys
