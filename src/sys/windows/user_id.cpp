// SPDX-License-Identifier: BSL-1.0
#include "sys/windows/user_id.hpp"

#include <ringbell/sys/local_socket.hpp>

#include <sddl.h>

#include <algorithm>
#include <cstring>

namespace ringbell::sys {

namespace {

PSID sid_in(const user_id& user) noexcept { return const_cast<std::uint8_t*>(user.sid.data()); }
bool is_nobody(const user_id& user) noexcept { return user == user_id(); }

}  // namespace

user_id user_of(const void* sid) noexcept {
  user_id user;
  PSID const found = const_cast<void*>(sid);
  if (!found || !::IsValidSid(found)) return user;
  std::memcpy(user.sid.data(), found,
              std::min<std::size_t>(::GetLengthSid(found), user.sid.size()));
  return user;
}

result<user_id> user_of_token(native_handle token) noexcept {
  alignas(TOKEN_USER) std::byte buffer[sizeof(TOKEN_USER) + SECURITY_MAX_SID_SIZE];
  DWORD size = 0;
  if (!::GetTokenInformation(token, TokenUser, buffer, sizeof buffer, &size)) return last_error();
  return user_of(reinterpret_cast<const TOKEN_USER*>(buffer)->User.Sid);
}

result<user_id> user_of_process(native_handle process) noexcept {
  HANDLE opened = nullptr;
  if (!::OpenProcessToken(process, TOKEN_QUERY, &opened)) return last_error();
  const handle token(opened);
  return user_of_token(token.get());
}

user_id current_user() noexcept {
  // The user of the process, not of the thread: in this library a server impersonates a client only
  // for a moment. The user of a process does not change.
  static const user_id user = [] {
    const auto known = user_of_process(::GetCurrentProcess());
    return known ? *known : user_id();
  }();
  return user;
}

bool names_one_user(const user_id&) noexcept { return true; }
bool is_current_user(const user_id& user) noexcept { return user == current_user(); }

std::string text_of(const user_id& user) {
  LPSTR text = nullptr;
  if (is_nobody(user) || !::ConvertSidToStringSidA(sid_in(user), &text)) return {};
  std::string made(text);
  ::LocalFree(text);
  return made;
}

std::uint64_t number_of(const user_id& user) noexcept {
  if (is_nobody(user)) return 0;
  const unsigned parts = *::GetSidSubAuthorityCount(sid_in(user));
  return parts == 0 ? 0 : *::GetSidSubAuthority(sid_in(user), parts - 1);
}

bool is_superuser(const user_id& user) noexcept {
  return !is_nobody(user) && ::IsWellKnownSid(sid_in(user), WinLocalSystemSid);
}

std::uint64_t current_process() noexcept { return ::GetCurrentProcessId(); }

}  // namespace ringbell::sys
