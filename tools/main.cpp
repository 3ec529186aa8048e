// SPDX-License-Identifier: BSL-1.0
#include "command_line.hpp"
#include "exit_codes.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <new>

namespace {

using namespace ringbell::tool;

/// A standard descriptor that is closed would be taken by the next thing opened, which then gets the output meant for people. So closed
/// ones are filled: input that is at its end, output that fails when it is written, errors that go nowhere.
void fill_standard_descriptors() {
  constexpr int flags[] = {O_RDONLY, O_RDONLY, O_WRONLY};
  for (const int fd : {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO})
    if (::fcntl(fd, F_GETFD) < 0 && errno == EBADF) (void)::open("/dev/null", flags[fd]);
}

int run(const std::function<int()>& action) {
  try {
    return action();
  } catch (const std::system_error& error) {
    return complain(error);
  } catch (const std::bad_alloc&) {
    complain("out of memory");
  } catch (const std::exception& error) {
    complain(error.what());
  }
  return exit_failure;
}

}  // namespace

int main(int argc, char** argv) {
  fill_standard_descriptors();
  std::signal(SIGPIPE, SIG_IGN);  // a reader that has gone is an error of write(2), reported as any other

  const chosen_command asked = parse_command_line(argc, argv);
  int code = asked.action ? run(asked.action) : asked.exit_code;
  std::cout.flush();
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) || !std::cout) && code == exit_ok) {
    complain(std::system_error(errno, std::generic_category(), "writing standard output"));
    code = exit_failure;
  }
  return code;
}
