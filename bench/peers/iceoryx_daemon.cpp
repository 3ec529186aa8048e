// SPDX-License-Identifier: BSL-1.0
#include "iceoryx_daemon.hpp"

#include "temporary_folder.hpp"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>
#include <chrono>
#include <cstdlib>
#include <fstream>
#include <sstream>
#include <stdexcept>
#include <string_view>

namespace ringbell::bench {

namespace {

constexpr const char* program = "iox-roudi";
constexpr std::chrono::seconds patience{20};

void write_configuration(const std::string& file) {
  std::ofstream out(file);
  out << "[general]\nversion = 1\n\n[[segment]]\n";
  // A little more than the sizes, since it puts a header before each.
  constexpr struct {
    unsigned size;
    unsigned count;
  } pools[] = {{128, 3000},  {512, 1000},  {1152, 1000},  {4352, 400},  {16640, 200},
               {65792, 200}, {262400, 50}, {1048832, 50}, {4194560, 12}};
  for (const auto& pool : pools)
    out << "\n[[segment.mempool]]\nsize = " << pool.size << "\ncount = " << pool.count << '\n';
  out.close();
  if (!out) throw std::runtime_error("cannot write '" + file + "'");
}

class daemon {
public:
  daemon() {
    const temporary_folder folder;
    write_configuration(folder.path() + "/roudi.toml");
    int output[2];
    if (::pipe2(output, O_CLOEXEC) != 0) throw std::runtime_error("cannot make a pipe");
    const pid_t parent = ::getpid();
    process_ = ::fork();
    if (process_ == 0) run(folder.path(), parent, output[1]);
    ::close(output[1]);
    const bool ready = process_ > 0 && wait_for_word(output[0]);
    ::close(output[0]);
    if (ready) return;
    stop();
    throw std::runtime_error("iox-roudi does not come up; does another one run?");
  }
  daemon(const daemon&) = delete;
  daemon& operator=(const daemon&) = delete;
  ~daemon() { stop(); }

private:
  [[noreturn]] static void run(const std::string& folder, pid_t parent, int output) {
    ::prctl(PR_SET_PDEATHSIG, SIGTERM);  // it then removes its shared memory
    if (::getppid() != parent) ::_exit(1);
    ::signal(SIGPIPE, SIG_IGN);  // nobody reads its last words
    ::setpgid(0, 0);             // Ctrl-C is not for it: who uses it must end first
    const int nothing = ::open("/dev/null", O_RDWR | O_CLOEXEC);
    ::dup2(nothing, STDIN_FILENO);
    ::dup2(output, STDOUT_FILENO);
    ::dup2(nothing, STDERR_FILENO);
    if (::chdir(folder.c_str()) == 0)
      ::execlp(program, program, "-c", "roudi.toml", "-m", "off", "-k", "1", nullptr);
    ::_exit(1);
  }
  /// False when it has ended instead, or says nothing for too long.
  static bool wait_for_word(int output) {
    std::string text;
    const auto deadline = std::chrono::steady_clock::now() + patience;
    while (text.find("ready for clients") == std::string::npos) {
      const auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
                            deadline - std::chrono::steady_clock::now())
                            .count();
      pollfd readable{output, POLLIN, 0};
      if (left <= 0 || ::poll(&readable, 1, static_cast<int>(left)) <= 0) return false;
      char some[512];
      const ssize_t n = ::read(output, some, sizeof some);
      if (n <= 0) return false;
      text.append(some, static_cast<std::size_t>(n));
    }
    return true;
  }
  void stop() noexcept {
    if (process_ <= 0) return;
    ::kill(process_, SIGTERM);
    for (int i = 0; i < 500; ++i) {  // 5 s
      if (::waitpid(process_, nullptr, WNOHANG) != 0) return;
      ::usleep(10'000);
    }
    ::kill(process_, SIGKILL);
    ::waitpid(process_, nullptr, 0);
  }

  pid_t process_ = -1;
};

}  // namespace

void iceoryx_daemon::start() { static const daemon running; }

std::string iceoryx_daemon::obstacle() {
  const char* const path = std::getenv("PATH");
  std::istringstream folders(path ? path : "/usr/bin");
  for (std::string folder; std::getline(folders, folder, ':');)
    if (::access((folder + '/' + program).c_str(), X_OK) == 0) return {};
  return "iox-roudi is not on PATH (package iceoryx)";
}

}  // namespace ringbell::bench
