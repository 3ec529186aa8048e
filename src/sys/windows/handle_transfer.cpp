// SPDX-License-Identifier: BSL-1.0
#include "sys/windows/handle_transfer.hpp"

#include <ringbell/errors.hpp>

#include "sys/windows/object_type.hpp"
#include "sys/windows/win32.hpp"

#include <cstring>
#include <limits>
#include <string_view>

namespace ringbell::sys {

namespace {

using query_object = LONG NTAPI(HANDLE, int, void*, ULONG, ULONG*);
query_object* object_query() noexcept {
  static query_object* const found = system_function<query_object>("NtQueryObject");
  return found;
}
constexpr int basic_information = 0;
constexpr int type_information = 2;

// OBJECT_BASIC_INFORMATION, rounded up because some versions need more room.
struct object_basic_information {
  ULONG attributes;
  ACCESS_MASK granted;
  ULONG others[12];
};
static_assert(sizeof(object_basic_information) == 56);

// The values of real handles are small multiples of four. Other values may be pseudo-handles, which
// mean the same in every process (-1 is the process itself), and which a duplication would resolve.
bool is_real(std::uint64_t value) noexcept {
  return value != 0 && value % 4 == 0 &&
         value <= static_cast<std::uint64_t>(std::numeric_limits<std::int32_t>::max());
}
HANDLE handle_from(std::uint64_t value) noexcept {
  return reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(value));
}

}  // namespace

object_type type_of(native_handle h) noexcept {
  struct alignas(void*) {
    UNICODE_STRING name;
    std::byte rest[1024];
  } found{};
  ULONG length = 0;
  if (h == invalid_handle || !object_query() ||
      object_query()(h, type_information, &found, sizeof found, &length) != 0)
    return object_type::other;
  const std::wstring_view name(found.name.Buffer, found.name.Length / sizeof(wchar_t));
  if (name == L"Section") return object_type::section;
  return name == L"Event" ? object_type::event : object_type::other;
}

std::uint32_t rights_of(native_handle h) noexcept {
  object_basic_information found{};
  ULONG length = 0;
  if (h == invalid_handle || !object_query() ||
      object_query()(h, basic_information, &found, sizeof found, &length) != 0)
    return 0;
  return found.granted;
}

std::uint32_t rights_for_peer(object_type type) noexcept {
  switch (type) {
    case object_type::section: return SECTION_MAP_READ | SECTION_QUERY;
    case object_type::event: return EVENT_MODIFY_STATE;
    case object_type::other: break;
  }
  return 0;
}

result<client_process> client_process::open(native_handle pipe) noexcept {
  ULONG id = 0;
  if (!::GetNamedPipeClientProcessId(pipe, &id)) return last_error();
  client_process opened;
  opened.process_ = handle(::OpenProcess(PROCESS_DUP_HANDLE, FALSE, id));
  if (!opened.process_)
    return ::GetLastError() == ERROR_INVALID_PARAMETER ? make_error_code(errc::peer_closed)
                                                       : last_error();
  // Another process may have got the process id before it was opened, but only after the client had
  // ended.
  DWORD waiting = 0;
  if (!::PeekNamedPipe(pipe, nullptr, 0, nullptr, &waiting, nullptr)) return errc::peer_closed;
  return opened;
}

result<handle> client_process::pull(std::uint64_t value) const noexcept {
  if (!is_real(value)) return errc::bad_peer;
  // The object behind the client's handle can change at any moment. So the type is read from our
  // duplicate, after that was made with the rights of the expected type.
  for (const object_type expected : {object_type::section, object_type::event}) {
    HANDLE made = nullptr;
    if (!::DuplicateHandle(process_.get(), handle_from(value), ::GetCurrentProcess(), &made,
                           rights_for_peer(expected), FALSE, 0)) {
      const DWORD error = ::GetLastError();
      if (error == ERROR_INVALID_HANDLE) return errc::bad_peer;
      // The object's list of rights does not have these.
      if (error == ERROR_ACCESS_DENIED) continue;
      return error_of(error);
    }
    handle ours(made);
    if (type_of(ours.get()) == expected) return ours;
  }
  return errc::bad_peer;
}

result<std::uint64_t> client_process::push(native_handle own) const noexcept {
  const std::uint32_t rights = rights_for_peer(type_of(own));
  if (rights == 0) return std::make_error_code(std::errc::invalid_argument);
  HANDLE made = nullptr;
  if (!::DuplicateHandle(::GetCurrentProcess(), own, process_.get(), &made, rights, FALSE, 0))
    return last_error();
  return static_cast<std::uint64_t>(reinterpret_cast<std::uintptr_t>(made));
}

void client_process::take_back(std::uint64_t value) const noexcept {
  HANDLE made = nullptr;
  if (::DuplicateHandle(process_.get(), handle_from(value), ::GetCurrentProcess(), &made, 0, FALSE,
                        DUPLICATE_CLOSE_SOURCE | DUPLICATE_SAME_ACCESS))
    ::CloseHandle(made);
}

result<handle> accept_pushed(std::uint64_t value) noexcept {
  if (!is_real(value)) return errc::bad_peer;
  const HANDLE pushed = handle_from(value);
  const std::uint32_t expected = rights_for_peer(type_of(pushed));
  if (expected == 0 || rights_of(pushed) != expected) return errc::bad_peer;
  return handle(pushed);
}

}  // namespace ringbell::sys
