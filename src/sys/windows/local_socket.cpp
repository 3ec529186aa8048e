// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/local_socket.hpp>

#include <ringbell/errors.hpp>

#include "sys/windows/pipe_state.hpp"
#include "sys/windows/service_pipe.hpp"

#include <atomic>
#include <limits>
#include <new>

namespace ringbell::sys {

socket_end::socket_end() noexcept = default;
socket_end::socket_end(std::unique_ptr<pipe_state> state) noexcept : state_(std::move(state)) {}
socket_end::socket_end(socket_end&&) noexcept = default;
socket_end& socket_end::operator=(socket_end&&) noexcept = default;
socket_end::~socket_end() = default;
native_handle socket_end::get() const noexcept { return state_ ? state_->event() : invalid_handle; }

namespace {

// The rights that the server's list grants to other users. They do not include the right to create
// instances, which GENERIC_WRITE would ask for.
constexpr DWORD client_rights = FILE_GENERIC_READ | FILE_WRITE_DATA;

std::error_code connect_error() noexcept {
  switch (const DWORD error = ::GetLastError()) {
    case ERROR_PIPE_BUSY: return errc::would_block;
    case ERROR_FILE_NOT_FOUND: return errc::no_server;
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
    case ERROR_PATH_NOT_FOUND: return errc::bad_name;
    default: return error_of(error);
  }
}

// The server may identify this user, but cannot act as it.
handle open_client_end(const std::wstring& path) noexcept {
  return owned_file(::CreateFileW(
      path.c_str(), client_rights, 0, nullptr, OPEN_EXISTING,
      FILE_FLAG_OVERLAPPED | SECURITY_SQOS_PRESENT | SECURITY_IDENTIFICATION, nullptr));
}

}  // namespace

local_socket local_socket::connect(const std::string& path, std::error_code& error) noexcept try {
  const std::wstring name = pipe_path(path);
  if (name.empty()) {
    error = errc::bad_name;
    return {};
  }
  handle pipe = open_client_end(name);
  if (!pipe) {
    error = connect_error();
    return {};
  }
  if (names_a_user(path)) {
    const auto owner = owner_of_pipe(pipe.get());
    error = !owner                     ? owner.error()
            : names_user(path, *owner) ? std::error_code()
                                       : make_error_code(errc::unsafe_directory);
    if (error) return {};
  }
  return local_socket(socket_end(pipe_state::create(std::move(pipe), pipe_side::client, error)));
} catch (const std::bad_alloc&) {
  error = std::make_error_code(std::errc::not_enough_memory);
  return {};
}

std::array<local_socket, 2> local_socket::pair(std::error_code& error) noexcept try {
  static std::atomic<unsigned> count{0};
  // Another process that creates a pipe of this name belongs to the same user, and then this one
  // fails.
  const std::wstring name =
      pipe_path("\\\\.\\pipe\\ringbell-pair-" + std::to_string(::GetCurrentProcessId()) + '-' +
                std::to_string(count.fetch_add(1, std::memory_order_relaxed)));
  handle servers = create_pipe_instance(name, true, false, 1, error);
  if (error) return {};
  handle clients = open_client_end(name);
  if (!clients) {
    error = last_error();
    return {};
  }
  std::array<local_socket, 2> made;
  made[0] =
      local_socket(socket_end(pipe_state::create(std::move(servers), pipe_side::server, error)));
  if (!error)
    made[1] =
        local_socket(socket_end(pipe_state::create(std::move(clients), pipe_side::client, error)));
  return made;
} catch (const std::bad_alloc&) {
  error = std::make_error_code(std::errc::not_enough_memory);
  return {};
}

result<peer_identity> local_socket::peer() const noexcept {
  if (!end_) return std::make_error_code(std::errc::bad_file_descriptor);
  return end_->peer();
}

result<std::size_t> local_socket::send(std::span<const std::byte> bytes,
                                       std::span<const native_handle> handles) noexcept {
  if (!end_) return std::make_error_code(std::errc::bad_file_descriptor);
  return end_->send(bytes, handles);
}

result<std::size_t> local_socket::receive(std::span<std::byte> into,
                                          received_handles& handles) noexcept {
  if (!end_) return std::make_error_code(std::errc::bad_file_descriptor);
  return end_->receive(into, handles);
}

// A pipe carries only bytes, and handles only with the first of them.
bool local_socket::let_no_handles_in() noexcept { return true; }

void descriptor_reserve::fill() noexcept {}
bool descriptor_reserve::give_one() noexcept { return false; }
std::size_t descriptor_limit() noexcept { return std::numeric_limits<std::size_t>::max(); }

// The bells are events: a write would cost more, and might stay pending.
std::error_code local_socket::ring() noexcept { return errc::not_supported; }

// It is used only where a bell cannot be rung, and events can always be set.
void local_socket::shut_down() noexcept {}

bool local_socket::drain() noexcept { return !end_ || end_->drain(); }

}  // namespace ringbell::sys
