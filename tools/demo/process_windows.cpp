// SPDX-License-Identifier: BSL-1.0
#include "demo/process.hpp"

#include "demo/session.hpp"

#include <windows.h>

#include <array>
#include <sstream>
#include <string>
#include <string_view>
#include <utility>

namespace ringbell::tool::demo {

namespace {

// There is no fork: the server is this program, told so by its only argument. That is what it is to
// do, with '|' between the parts.
constexpr std::string_view flag = "--demo-server=";

[[noreturn]] void fail(const char* doing) {
  throw std::system_error(static_cast<int>(::GetLastError()), std::system_category(), doing);
}

// A named pipe, both ends blocking. The second can be inherited.
std::array<sys::handle, 2> pipe_pair(const std::string& name) {
  const HANDLE one = ::CreateNamedPipeA(
      name.c_str(), PIPE_ACCESS_DUPLEX | FILE_FLAG_FIRST_PIPE_INSTANCE,
      PIPE_TYPE_BYTE | PIPE_READMODE_BYTE | PIPE_WAIT | PIPE_REJECT_REMOTE_CLIENTS, 1, 4096, 4096,
      0, nullptr);
  if (one == INVALID_HANDLE_VALUE) fail("a named pipe");
  std::array<sys::handle, 2> ends{sys::handle(one), sys::handle()};
  SECURITY_ATTRIBUTES inherited{sizeof inherited, nullptr, TRUE};
  const HANDLE other = ::CreateFileA(name.c_str(), GENERIC_READ | GENERIC_WRITE, 0, &inherited,
                                     OPEN_EXISTING, 0, nullptr);
  if (other == INVALID_HANDLE_VALUE) fail("a named pipe");
  ends[1] = sys::handle(other);
  if (!::ConnectNamedPipe(one, nullptr) && ::GetLastError() != ERROR_PIPE_CONNECTED)
    fail("a named pipe");
  return ends;
}

// What this process starts from now on ends when it does, however and whenever that comes about:
// who is in a job, starts others in it, and this one ends with its only handle. A child that is put
// there once it exists would be left alone if this process was killed in between.
void end_children_with_this() {
  static const HANDLE only = [] {
    const HANDLE made = ::CreateJobObjectW(nullptr, nullptr);
    JOBOBJECT_EXTENDED_LIMIT_INFORMATION limits{};
    limits.BasicLimitInformation.LimitFlags = JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE;
    ::SetInformationJobObject(made, JobObjectExtendedLimitInformation, &limits, sizeof limits);
    ::AssignProcessToJobObject(made, ::GetCurrentProcess());
    return made;
  }();
  (void)only;
}

std::uintptr_t number_of(const sys::handle& h) noexcept {
  return reinterpret_cast<std::uintptr_t>(h.get());
}

std::string next_part(std::istringstream& all) {
  std::string part;
  std::getline(all, part, '|');
  return part;
}

sys::handle next_handle(std::istringstream& all) {
  return sys::handle(
      reinterpret_cast<HANDLE>(static_cast<std::uintptr_t>(std::stoull(next_part(all)))));
}

}  // namespace

const char* const link_name = "named pipe";

void server_process::start(const own_names& names, const common_options& common,
                           const placement& cpus) {
  auto orders = pipe_pair(names / "orders");
  auto sockets = pipe_pair(names / "pipe");
  std::ostringstream what;
  what << number_of(orders[1]) << '|' << number_of(sockets[1]) << '|'
       << (cpus.apart() ? cpus.server_cpu() : -1) << '|' << common.ring_bytes << '|' << common.loop
       << '|' << common.spin << '|' << names / "demo" << '|' << names / "asio";
  char program[MAX_PATH];
  ::GetModuleFileNameA(nullptr, program, MAX_PATH);
  std::string command = '"' + std::string(program) + "\" \"" + std::string(flag) + what.str() + '"';
  end_children_with_this();
  STARTUPINFOA startup{};
  startup.cb = sizeof startup;
  PROCESS_INFORMATION started{};
  if (!::CreateProcessA(program, command.data(), nullptr, nullptr, TRUE, 0, nullptr, nullptr,
                        &startup, &started))
    fail("starting the server process");
  const sys::handle thread(started.hThread);
  process_ = reinterpret_cast<std::intptr_t>(started.hProcess);
  orders_ = std::move(orders[0]);
  socket_ = std::move(sockets[0]);
}

void server_process::kill() noexcept {
  if (process_ != 0) ::TerminateProcess(reinterpret_cast<HANDLE>(process_), exit_failure);
}

void server_process::join() noexcept {
  if (process_ == 0) return;
  const sys::handle ended(reinterpret_cast<HANDLE>(process_));
  ::WaitForSingleObject(ended.get(), INFINITE);
  process_ = 0;
}

std::optional<int> run_as_server(int argc, char** argv) {
  if (argc != 2 || !std::string_view(argv[1]).starts_with(flag)) return std::nullopt;
  std::istringstream what(std::string(std::string_view(argv[1]).substr(flag.size())));
  try {
    server_setup setup;
    setup.orders = next_handle(what);
    setup.socket = next_handle(what);
    if (const int cpu = std::stoi(next_part(what)); cpu >= 0) bind_to_processor(cpu);
    setup.common.ring_bytes = std::stoull(next_part(what));
    setup.common.loop = next_part(what);
    setup.common.spin = next_part(what);
    setup.name = next_part(what);
    setup.asio_name = next_part(what);
    return serve(setup);
  } catch (...) {
    return exit_failure;  // the client notices, and says so for both
  }
}

bool send_whole(sys::native_handle link, std::span<const std::byte> bytes) noexcept {
  DWORD count = 0;
  return ::WriteFile(link, bytes.data(), static_cast<DWORD>(bytes.size()), &count, nullptr) &&
         count == bytes.size();
}

bool receive_whole(sys::native_handle link, std::span<std::byte> bytes) noexcept {
  while (!bytes.empty()) {
    const std::size_t count = receive_some(link, bytes);
    if (count == 0) return false;
    bytes = bytes.subspan(count);
  }
  return true;
}

std::size_t receive_some(sys::native_handle link, std::span<std::byte> bytes) noexcept {
  DWORD count = 0;
  return ::ReadFile(link, bytes.data(), static_cast<DWORD>(bytes.size()), &count, nullptr) ? count
                                                                                           : 0;
}

}  // namespace ringbell::tool::demo
