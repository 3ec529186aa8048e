// SPDX-License-Identifier: BSL-1.0
#include "command_line.hpp"
#include "demo/process.hpp"
#include "exit_codes.hpp"
#include "system/standard_streams.hpp"

#include <cerrno>
#include <cstdio>
#include <exception>
#include <functional>
#include <iostream>
#include <new>

namespace {

using namespace ringbell::tool;

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
  prepare_standard_streams();
  if (const auto server_of_demo = demo::run_as_server(argc, argv)) return *server_of_demo;

  const chosen_command asked = parse_command_line(argc, argv);
  int code = asked.action ? run(asked.action) : asked.exit_code;
  std::cout.flush();
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) || !std::cout) && code == exit_ok) {
    complain(ringbell::sys::failure(std::error_code(errno, std::generic_category()),
                                    "writing standard output"));
    code = exit_failure;
  }
  return code;
}
