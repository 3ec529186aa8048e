// SPDX-License-Identifier: BSL-1.0
#include "exit_codes.hpp"
#include "options.hpp"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdio>
#include <exception>
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

int parse(CLI::App& app, int argc, char** argv) {
  try {
    app.parse(argc, argv);
    return exit_ok;
  } catch (const CLI::Success& help_or_version) {
    return app.exit(help_or_version);
  } catch (const CLI::ParseError& error) {
    complain(std::string(error.what()) + "; see 'ringbell --help'");
    return exit_usage;
  }
}

int run(const action& chosen) {
  try {
    return chosen();
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

  CLI::App app("Messages between processes through shared-memory rings: try it, use it in a shell, look at what a machine offers.",
               "ringbell");
  app.set_version_flag("--version", "ringbell " RINGBELL_VERSION);
  app.require_subcommand(1);
  app.footer(std::string("'ringbell COMMAND --help' tells more of each.\n\n") + exit_codes_help);
  action chosen;
  add_demo(app, chosen);
  add_pipe(app, chosen);
  add_echo(app, chosen);
  add_ping(app, chosen);
  add_serve(app, chosen);
  add_call(app, chosen);
  add_top(app, chosen);
  add_bench(app, chosen);
  add_doctor(app, chosen);

  int code = parse(app, argc, argv);
  if (code == exit_ok && chosen) code = run(chosen);
  std::cout.flush();
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) || !std::cout) && code == exit_ok) {
    complain(std::system_error(errno, std::generic_category(), "writing standard output"));
    code = exit_failure;
  }
  return code;
}
