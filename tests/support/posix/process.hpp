// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/foreign_handle.hpp>

#include "support/descriptors.hpp"
#include "support/os_process.hpp"
#include "support/patience.hpp"

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace ringbell::test {

/// fork(), again and again for a while where the system has too many processes at the moment, or
/// too little memory.
inline pid_t fork_patiently() {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  for (;;) {
    const pid_t child = ::fork();
    if (child >= 0) return child;
    if ((errno != EAGAIN && errno != ENOMEM) || std::chrono::steady_clock::now() > deadline)
      throw std::system_error(errno, std::system_category(), "fork");
    ::usleep(100'000);
  }
}

/// Forks and runs `f` there; its return value is the exit status. The caller gets the process id.
template <class F>
pid_t start_child(F f) {
  const pid_t child = fork_patiently();
  if (child == 0) ::_exit(f());
  return child;
}

/// Waits for a child; its exit status, or 1000 + the signal that ended it.
inline int wait_for(pid_t child) {
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {}
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/// Runs `f` in a child of its own. A step that fails returns its number, so that the parent's CHECK
/// names it.
template <class F>
int run_in_child(F f) {
  return wait_for(start_child(std::move(f)));
}

/// Runs one (skipped) test case of this executable in a fresh process, after `prepare` there: for
/// what is asked only once per process.
template <class F>
int run_test_case_in_fresh_process(const char* name, F prepare) {
  return run_in_child([&] {
    prepare();
    const std::string filter = std::string("--test-case=") + name;
    ::execl(own_program().c_str(), "test", "--no-skip", "--minimal", filter.c_str(), nullptr);
    return 99;
  });
}

/// Lets processes tell each other how far they are.
class milestone {
public:
  milestone() {
    if (pipe_closed_on_exec(ends_) != 0) throw std::runtime_error("pipe failed");
  }
  milestone(const milestone&) = delete;
  milestone& operator=(const milestone&) = delete;
  ~milestone() {
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  void reach() const {
    if (::write(ends_[1], "", 1) != 1) ::_exit(98);
  }
  void wait() const {
    char c;
    while (::read(ends_[0], &c, 1) < 0 && errno == EINTR) {}
  }

private:
  int ends_[2];
};

/// A folder of the test's own, removed with everything in it.
class temporary_folder {
public:
  temporary_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ringbell-test-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("mkdtemp failed");
    path_ = name;
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    // Another process may remove its names at the same time, and remove_all() gives up when one
    // goes that it was about to remove.
    std::error_code error;
    do std::filesystem::remove_all(path_, error);
    while (error == std::errc::no_such_file_or_directory);
  }
  const std::string& path() const { return path_; }
  std::string operator/(const std::string& name) const { return path_ + '/' + name; }

private:
  std::string path_;
};

/// What is in such a folder.
inline std::vector<std::string> left_in(const temporary_folder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    names.push_back(entry.path().filename().string());
  return names;
}

/// How many descriptors the system may take for itself meanwhile.
inline constexpr int handles_of_the_system = 0;

/// Looks again and again, without assuming how long it takes, until `condition` holds; false when
/// it does not for too long.
template <class F>
bool eventually(F condition) {
  const auto deadline = std::chrono::steady_clock::now() + patience;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    ::usleep(50);
  }
  return true;
}

/// How many descriptors this process has open. What another thread is about to close does not
/// count.
inline int open_descriptors() {
  (void)eventually([] { return sys::closing_elsewhere() == 0; });
  DIR* const folder = ::opendir("/dev/fd");
  int count = 0;
  while (::readdir(folder)) ++count;
  ::closedir(folder);
  return count;
}

}  // namespace ringbell::test
