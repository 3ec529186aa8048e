// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/local_socket.hpp>

#include <ringbell/errors.hpp>

#include "sys/windows/pipe_state.hpp"
#include "sys/windows/user_id.hpp"

#include <sddl.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <new>

// A pipe has no backlog. Each client needs an instance that waits for it, and finds the pipe busy
// when there is none. So there are always some instances, each with a pending ConnectNamedPipe, and
// all of these set one event.
//
// Beginning a ConnectNamedPipe resets the event. So accept(), on its next call, looks at all
// instances after it has begun one. A caller waits only after accept() has returned would_block,
// and no call was begun after accept() looked. A wait that was ended may have reset the event
// without serving a caller. So a caller asks for the event before each wait, and the event is then
// set if a client has connected.
//
// The kernel writes to an instance's OVERLAPPED until the call has ended. The instances are members
// of one object that never moves. Its destructor cancels each call and waits for its end before it
// frees them.

namespace ringbell::sys {

namespace {

constexpr std::size_t waiting_instances = 8;

void free_descriptor(void* descriptor) noexcept { ::LocalFree(descriptor); }
using security_descriptor = std::unique_ptr<void, void (*)(void*)>;

// The user may do everything. Other users may, if at all, connect from this machine, but not create
// instances. The user is also named as the owner, because clients read from the owner whose pipe it
// is. (The default owner of an administrator's objects is a group.)
security_descriptor descriptor_of_pipe(bool for_all_users) {
  const std::string user = text_of(current_user());
  // FILE_GENERIC_READ | FILE_WRITE_DATA for authenticated users.
  const std::string others = for_all_users ? "(A;;0x12008b;;;AU)" : "";
  const std::string text = "O:" + user + "D:P(A;;GA;;;" + user + ')' + others;
  PSECURITY_DESCRIPTOR made = nullptr;
  ::ConvertStringSecurityDescriptorToSecurityDescriptorA(text.c_str(), SDDL_REVISION_1, &made,
                                                         nullptr);
  return {made, &free_descriptor};
}

std::error_code name_error(DWORD error) noexcept {
  switch (error) {
    // The pipe exists and belongs to another process, or it has as many instances as it may have.
    case ERROR_ACCESS_DENIED:
    case ERROR_PIPE_BUSY: return errc::name_in_use;
    case ERROR_INVALID_NAME:
    case ERROR_BAD_PATHNAME:
    case ERROR_PATH_NOT_FOUND: return errc::bad_name;
    default: return error_of(error);
  }
}

bool exists(const std::wstring& path) noexcept {
  return ::WaitNamedPipeW(path.c_str(), 1) || ::GetLastError() != ERROR_FILE_NOT_FOUND;
}

}  // namespace

handle create_pipe_instance(const std::wstring& path, bool first, bool for_all_users, DWORD most,
                            std::error_code& error) {
  const security_descriptor rights = descriptor_of_pipe(for_all_users);
  if (!rights) {
    error = last_error();
    return {};
  }
  SECURITY_ATTRIBUTES attributes{sizeof(SECURITY_ATTRIBUTES), rights.get(), FALSE};
  const DWORD flags =
      PIPE_ACCESS_DUPLEX | FILE_FLAG_OVERLAPPED | (first ? FILE_FLAG_FIRST_PIPE_INSTANCE : 0);
  // The kernel refuses a second first instance. Wine does not, so there the code at least checks.
  if (first && exists(path)) {
    error = errc::name_in_use;
    return {};
  }
  handle made = owned_file(::CreateNamedPipeW(
      path.c_str(), flags,
      PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, most,
      pipe_buffer_bytes, pipe_buffer_bytes, 0, &attributes));
  error = made ? std::error_code() : name_error(::GetLastError());
  return made;
}

result<user_id> owner_of_pipe(native_handle pipe) noexcept {
  alignas(SECURITY_DESCRIPTOR)
      std::byte buffer[sizeof(SECURITY_DESCRIPTOR) + SECURITY_MAX_SID_SIZE];
  DWORD size = 0;
  if (!::GetKernelObjectSecurity(pipe, OWNER_SECURITY_INFORMATION, buffer, sizeof buffer, &size))
    return last_error();
  PSID owner = nullptr;
  BOOL by_default = FALSE;
  if (!::GetSecurityDescriptorOwner(buffer, &owner, &by_default)) return last_error();
  return user_of(owner);
}

struct pipe_instances {
  pipe_instances(std::wstring name, bool others) : path(std::move(name)), for_all_users(others) {}
  pipe_instances(const pipe_instances&) = delete;
  pipe_instances& operator=(const pipe_instances&) = delete;
  ~pipe_instances() {
    for (instance& i : all) stop(i);
  }

  struct instance {
    handle pipe;
    OVERLAPPED call{};
    bool connecting = false;  // begun, and its end not seen yet
    bool connected = false;
  };

  /// Makes the instance wait for a client.
  void start(instance& i) noexcept {
    i.call = {};
    i.call.hEvent = event.get();
    i.connecting = i.connected = false;
    if (::ConnectNamedPipe(i.pipe.get(), &i.call)) {
      i.connecting = true;
      return;
    }
    switch (::GetLastError()) {
      case ERROR_IO_PENDING: i.connecting = true; return;
      case ERROR_PIPE_CONNECTED: i.connected = true; break;  // a client was faster
      default: i.pipe.reset();                               // a client came and has already gone
    }
    ::SetEvent(event.get());
  }

  void stop(instance& i) noexcept {
    if (!i.connecting) return;
    DWORD bytes = 0;
    ::CancelIoEx(i.pipe.get(), &i.call);
    while (!::GetOverlappedResult(i.pipe.get(), &i.call, &bytes, FALSE) &&
           ::GetLastError() == ERROR_IO_INCOMPLETE)
      ::Sleep(0);
    i.connecting = false;
  }

  /// Whether the instance has a client.
  bool look(instance& i) noexcept {
    DWORD bytes = 0;
    if (i.connecting) {
      const DWORD error = ::GetOverlappedResult(i.pipe.get(), &i.call, &bytes, FALSE)
                              ? ERROR_SUCCESS
                              : ::GetLastError();
      if (error == ERROR_IO_INCOMPLETE) return false;
      i.connecting = false;
      i.connected = error == ERROR_SUCCESS;
      // The thread that began the call has ended, so the call is begun again in this thread.
      if (error == ERROR_OPERATION_ABORTED)
        start(i);
      else if (!i.connected)
        i.pipe.reset();
    }
    return i.connected;
  }

  /// The event. To be called before each wait for it.
  native_handle to_wait_for() noexcept {
    DWORD bytes = 0;
    for (instance& i : all)
      if (i.connected ||
          (i.connecting && (::GetOverlappedResult(i.pipe.get(), &i.call, &bytes, FALSE) ||
                            ::GetLastError() != ERROR_IO_INCOMPLETE)))
        ::SetEvent(event.get());
    return event.get();
  }

  /// Creates a new instance in place of each that is gone.
  /// Errors: the system's.
  std::error_code refill() {
    std::error_code error;
    bool started = false;
    for (instance& i : all) {
      if (i.pipe) continue;
      i.pipe = create_pipe_instance(path, false, for_all_users, PIPE_UNLIMITED_INSTANCES, error);
      if (error) break;
      start(i);
      started = true;
    }
    // All instances share the event, and beginning to wait resets it, even when it was set for
    // another instance.
    const auto has_news = [](const instance& i) {
      return i.connected || (i.connecting && HasOverlappedIoCompleted(&i.call));
    };
    if (started && std::any_of(all.begin(), all.end(), has_news)) ::SetEvent(event.get());
    return error;
  }

  std::wstring path;
  bool for_all_users;
  handle event;
  std::array<instance, waiting_instances> all;
};

listening_end::listening_end() noexcept = default;
listening_end::listening_end(std::unique_ptr<pipe_instances> state) noexcept
    : state_(std::move(state)) {}
listening_end::listening_end(listening_end&&) noexcept = default;
listening_end& listening_end::operator=(listening_end&&) noexcept = default;
listening_end::~listening_end() = default;
native_handle listening_end::get() const noexcept {
  return state_ ? state_->to_wait_for() : invalid_handle;
}
void listening_end::reset() noexcept { state_.reset(); }

local_listener local_listener::bind(const std::string& path, bool for_all_users,
                                    std::error_code& error) {
  local_listener made;
  made.path_ = path;
  auto instances = std::make_unique<pipe_instances>(pipe_path(path), for_all_users);
  if (instances->path.empty()) {
    error = errc::bad_name;
    return {};
  }
  instances->event = handle(::CreateEventW(nullptr, FALSE, FALSE, nullptr));
  if (!instances->event) {
    error = last_error();
    return {};
  }
  pipe_instances::instance& first = instances->all.front();
  first.pipe =
      create_pipe_instance(instances->path, true, for_all_users, PIPE_UNLIMITED_INSTANCES, error);
  if (error) return {};
  instances->start(first);
  if ((error = instances->refill())) return {};
  made.socket_ = listening_end(std::move(instances));
  return made;
}

local_listener local_listener::adopt(handle, std::string&, std::error_code& error) {
  error = errc::not_supported;
  return {};
}

std::string local_listener::obstacles(const std::string&) { return {}; }

local_listener& local_listener::operator=(local_listener&& other) noexcept {
  if (this != &other) {
    socket_ = std::move(other.socket_);
    path_ = std::move(other.path_);
  }
  return *this;
}

local_listener::~local_listener() = default;

local_socket local_listener::accept(std::error_code& error) noexcept try {
  error = errc::would_block;
  handle pipe;
  for (pipe_instances::instance& i : socket_->all) {
    if (!socket_->look(i)) continue;
    pipe = std::move(i.pipe);
    i.connected = false;
    break;
  }
  // Missing instances are also created on later calls, so a failure here is no reason to drop the
  // client that has come.
  const std::error_code refilled = socket_->refill();
  if (pipe)
    return local_socket(socket_end(pipe_state::create(std::move(pipe), pipe_side::server, error)));
  if (refilled) error = refilled;
  return {};
} catch (const std::bad_alloc&) {
  error = std::make_error_code(std::errc::not_enough_memory);
  return {};
}

}  // namespace ringbell::sys
