// SPDX-License-Identifier: BSL-1.0
#include "system/calls.hpp"

#include "examples/systemd/systemd.hpp"
#include "exit_codes.hpp"

#include <ringbell/sys/handle.hpp>

#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>  // mkdtemp of macOS

#include <cerrno>
#include <filesystem>

namespace ringbell::tool {

std::uint64_t processor_time_ns() noexcept {
  timespec cpu{};
  ::clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &cpu);
  return static_cast<std::uint64_t>(cpu.tv_sec) * 1000000000u +
         static_cast<std::uint64_t>(cpu.tv_nsec);
}

std::optional<sys::native_handle> passed_socket() {
  const std::vector<systemd::passed_socket> all = systemd::passed_sockets();
  if (all.size() > 1)
    throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                            "expected one socket of the service manager, got " +
                                std::to_string(all.size()) + " ($LISTEN_FDS)");
  return all.empty() ? std::nullopt : std::optional(all.front().handle);
}

void tell_service_manager(const char* state) {
  try {
    systemd::notify(state);
  } catch (const std::system_error& error) {
    complain(error);
  }
}

std::initializer_list<int> ending_signals() noexcept {
  static constexpr std::initializer_list<int> all{SIGINT, SIGTERM, SIGHUP};
  return all;
}

std::initializer_list<int> stopping_signals() noexcept {
  static constexpr std::initializer_list<int> all{SIGINT, SIGTERM};
  return all;
}

void allow_many_descriptors() noexcept {
  rlimit files{};
  if (::getrlimit(RLIMIT_NOFILE, &files) != 0) return;
  files.rlim_cur = files.rlim_max;
  (void)::setrlimit(RLIMIT_NOFILE, &files);
}

std::optional<std::string> run_apart(const std::function<std::string()>& f, int& signal) {
  int ends[2];
  if (::pipe(ends) != 0) return f();
  sys::handle from(ends[0]);
  sys::handle to(ends[1]);
  const pid_t child = ::fork();
  if (child < 0) return f();
  if (child == 0) {
    end_with_parent();
    const rlimit no_core{};
    (void)::setrlimit(RLIMIT_CORE, &no_core);
    const std::string said = f();
    ::_exit(::write(to.get(), said.data(), said.size()) == static_cast<ssize_t>(said.size()) ? 0
                                                                                             : 1);
  }
  to.reset();
  std::string said;
  char piece[4096];
  for (ssize_t n = 0;
       (n = ::read(from.get(), piece, sizeof piece)) > 0 || (n < 0 && errno == EINTR);)
    if (n > 0) said.append(piece, static_cast<std::size_t>(n));
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  if (!WIFSIGNALED(status)) return said;
  signal = WTERMSIG(status);
  return std::nullopt;
}

std::tm calendar_time(std::time_t seconds) noexcept {
  std::tm parts{};
  ::gmtime_r(&seconds, &parts);
  return parts;
}

struct own_names::state {
  sigset_t before;
  std::string folder;
};

own_names::own_names() : state_(new state{}) {
  sigset_t held;
  sigemptyset(&held);
  for (const int signal : ending_signals()) sigaddset(&held, signal);
  ::sigprocmask(SIG_BLOCK, &held, &state_->before);
  std::error_code ignored;
  const std::string parent = std::filesystem::temp_directory_path(ignored).string();
  state_->folder = parent + "/ringbell-XXXXXX";
  if (::mkdtemp(state_->folder.data())) return;
  const int error = errno;
  let_signals_through();
  delete state_;
  throw_errno(error, "a folder in " + parent);
}

own_names::~own_names() {
  // The server removes its names at the same time, and remove_all() gives up when one goes that it
  // was about to remove.
  std::error_code error;
  do std::filesystem::remove_all(state_->folder, error);
  while (error == std::errc::no_such_file_or_directory);
  let_signals_through();
  delete state_;
}

std::string own_names::operator/(const char* name) const { return state_->folder + '/' + name; }
std::string own_names::place() {
  return "a socket in " + std::filesystem::temp_directory_path().string();
}
void own_names::let_signals_through() const noexcept {
  ::sigprocmask(SIG_SETMASK, &state_->before, nullptr);
}

}  // namespace ringbell::tool
