// SPDX-License-Identifier: BSL-1.0
// Each command, and each way in which it can fail: the exit codes that docs/command-line.md lists.
// The codes of each error: exit_codes_test.cpp.
#include "support/service_process.hpp"

#include <doctest/doctest.h>

#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <optional>
#include <string>
#include <vector>

TEST_SUITE("cli_exit_codes") {

using namespace ringbell::test;

namespace {

using words = std::vector<std::string>;

const words commands{"demo", "pipe", "echo", "ping", "serve", "call", "top", "doctor"};

void ends(int code, const words& arguments) {
  CAPTURE(arguments);
  tool t(arguments);
  CHECK(t.wait() == code);
  CHECK_MESSAGE(t.one_line(), t.err());
}

/// Runs the tool with a soft limit of its own; gives what it said on both streams and its exit
/// status.
std::string with_limit(int resource, rlim_t most, words arguments, int& status) {
  const temporary_folder folder;
  const descriptor out = writing(folder / "out");
  arguments.insert(arguments.begin(), "ringbell");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  status = run_in_child([&] {
    const rlimit limit{most, most};
    ::dup2(out.get(), STDOUT_FILENO);
    ::dup2(out.get(), STDERR_FILENO);
    if (::setrlimit(static_cast<decltype(RLIMIT_NOFILE)>(resource), &limit) != 0) return 98;
    ::execv(path_of_tool().c_str(), argv.data());
    return 99;
  });
  return contents_of(folder / "out");
}

}  // namespace

TEST_CASE("0: help, of all and of each") {
  for (const words& arguments : {words{"--help"}, words{"--version"}}) {
    tool t(arguments);
    CHECK(t.wait() == 0);
  }
  for (const std::string& command : commands) {
    tool t({command, "--help"});
    CHECK(t.wait() == 0);
    CHECK(t.out().find("Exit codes:") != std::string::npos);
    for (const char* elsewhere : {"Windows", "macOS", "kqueue", "iocp"})
      CHECK_MESSAGE(t.out().find(elsewhere) == std::string::npos, command);
  }
}

TEST_CASE("1: a name that a live server has; output that cannot be written") {
  const temporary_folder folder;
  const service s(folder / "s");
  for (const words& arguments :
       {words{"echo", folder / "s"}, {"serve", folder / "s"}, {"pipe", "--listen", folder / "s"}})
    ends(1, arguments);
  const descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  for (const words& arguments : {words{"doctor"},
                                 {"doctor", "--json"},
                                 {"top", folder / "s", "--once", "--interval", "10ms"},
                                 {"call", folder / "s", "echo", "--data", "x"},
                                 {"--help"}}) {
    CAPTURE(arguments);
    tool t(arguments, stream::usual, full);
    CHECK(t.wait() == 1);
    CHECK_MESSAGE(t.one_line(), t.err());
  }
}

TEST_CASE(
    "2: an option, argument or name that cannot be used, with the nearest word and the right --help") {
  ends(2, {});
  ends(2, {"srve"});
  for (const std::string& command : commands) {
    CAPTURE(command);
    tool t({command, "--hlep"});
    CHECK(t.wait() == 2);
    CHECK_MESSAGE(t.err() == "ringbell: '--hlep' is no option of 'ringbell " + command +
                                 "'; did you mean '--help'? See 'ringbell " + command +
                                 " --help'\n",
                  t.err());
  }
  for (const words& arguments : {words{"echo", ".x"},
                                 {"serve", ".x"},
                                 {"ping", ".x"},
                                 {"call", ".x", "m", "--data", ""},
                                 {"top", ".x", "--once"},
                                 {"pipe", "--listen", ".x"},
                                 {"pipe", "--connect", ".x"}})
    ends(2, arguments);
}

TEST_CASE("2: a number out of its range is answered with the range, as a person writes it") {
  const auto says = [](const words& arguments, const std::string& range) {
    CAPTURE(arguments);
    tool t(arguments);
    CHECK(t.wait() == 2);
    CHECK_MESSAGE(
        t.err().find(range + "; got '" + arguments.back() + "'; see") != std::string::npos,
        t.err());
  };
  for (const char* wrong : {"-1", "1025", "99999999999999999999999", "1.5", "x", ""})
    says({"serve", "x", "--threads", wrong}, "expected a number from 0 to 1024");
  for (const char* wrong : {"0", "-3", "1e9", "18446744073709551616"})
    says({"serve", "x", "--max-clients", wrong}, "expected a number from 1 to 1000000000");
  says({"serve", "x", "--max-in-flight", "0"}, "expected a number from 1 to 1000000000");
  says({"ping", "x", "--count", "-1"}, "expected a number from 0 to 1000000000");
  says({"ping", "x", "--size", "65MiB"},
       "expected a number of bytes from 0 to 64MiB, such as 4096, 64KiB or 1M");
  says({"echo", "x", "--ring-bytes", "5000"},
       "expected a power of two from 4 KiB to 1 GiB, such as 65536, 64KiB or 1M");
  says({"top", "x", "--once", "--interval", "9ms"},
       "expected a time from 10ms to 290 years, such as 300ms, 1.5s or 2min");
  says({"call", "x", "m", "--timeout", "-1s"},
       "expected a time from 0 to 290 years, such as 300ms, 1.5s or 2min");
  says({"call", "x", "4294967296"}, "expected a method's name, or its number from 0 to 4294967295");
}

TEST_CASE("3: nobody listens there") {
  const temporary_folder folder;
  const std::string name = folder / "nobody";
  for (const words& arguments : {words{"pipe", "--connect", name},
                                 {"ping", name},
                                 {"call", name, "m", "--data", ""},
                                 {"top", name, "--once"}}) {
    words with_time = arguments;
    with_time.insert(with_time.end(), {"--timeout", "20ms"});
    ends(3, with_time);
  }
}

TEST_CASE("4: refused by the server") {
  const temporary_folder folder;
  const service s(folder / "s", {"--max-clients", "1"});
  std::optional<tool> one;
  // Whichever of the two comes first has the only place; the call keeps it.
  REQUIRE(eventually([&] {
    one.emplace(words{"call", folder / "s", "sleep", "--data", "1min"});
    tool t({"ping", folder / "s", "--timeout", "1s", "--count", "1"});
    return t.wait() == 4;
  }));
  for (const words& arguments : {words{"pipe", "--connect", folder / "s"},
                                 {"ping", folder / "s"},
                                 {"call", folder / "s", "echo", "--data", "x"},
                                 {"top", folder / "s", "--once"}})
    ends(4, arguments);
}

TEST_CASE("5: what listens there is something else") {
  const temporary_folder folder;
  const echo_server e(folder / "e");
  for (const words& arguments :
       {words{"call", folder / "e", "echo", "--data", "x"}, {"top", folder / "e", "--once"}}) {
    tool t(arguments);
    CHECK(t.wait() == 5);
    CHECK_MESSAGE(t.one_line(), t.err());
    CHECK_MESSAGE(t.err().find("did not answer as a service does") != std::string::npos, t.err());
  }
  const service s(folder / "s");
  for (const char* size : {"0", "4", "64", "4096"}) {
    CAPTURE(size);
    tool t({"ping", folder / "s", "--quiet", "--size", size});
    CHECK(t.wait() == 5);
    CHECK_MESSAGE(
        t.err().find("is a service (a ringbell::server), no echo server; 'ringbell call ") !=
            std::string::npos,
        t.err());
  }
}

TEST_CASE("6: no answer in time") {
  const temporary_folder folder;
  service s(folder / "s");
  ends(6, {"call", folder / "s", "sleep", "--data", "1min", "--timeout", "50ms"});
  s.process().stop();
  ends(6, {"ping", folder / "s", "--timeout", "50ms"});
  ends(6, {"call", folder / "s", "echo", "--data", "x", "--timeout", "50ms"});
  ends(6, {"top", folder / "s", "--once", "--timeout", "50ms"});
  ends(6, {"pipe", "--connect", folder / "s", "--timeout", "50ms"});
}

TEST_CASE("8: the service answers with an error") {
  const temporary_folder folder;
  const service s(folder / "s");
  ends(8, {"call", folder / "s", "no-such-method", "--data", "x"});
  ends(8, {"call", folder / "s", "sleep", "--data", "no time"});
}

TEST_CASE(
    "a limit of file sizes is an error that names it, and no signal; doctor reports it, with 7") {
  const temporary_folder folder;
  int status = 0;
  const service s(folder / "s");
  for (const words& arguments : {words{"echo", folder / "e"},
                                 {"serve", folder / "e"},
                                 {"pipe", "--listen", folder / "e"},
                                 {"ping", folder / "s"},
                                 {"call", folder / "s", "echo", "--data", "x"},
                                 {"top", folder / "s", "--once"}}) {
    CAPTURE(arguments);
    const std::string said = with_limit(static_cast<int>(RLIMIT_FSIZE), 32768, arguments, status);
    CHECK(status == 1);
    CHECK_MESSAGE(said.find("ulimit -f allows 32768 bytes") != std::string::npos, said);
  }
  const std::string said = with_limit(static_cast<int>(RLIMIT_FSIZE), 32768, {"doctor"}, status);
  CHECK(status == 7);
  CHECK_MESSAGE(said.find("limited  file size      32768 bytes (ulimit -f)") != std::string::npos,
                said);
  // Its own output may be the file.
  CHECK(with_limit(static_cast<int>(RLIMIT_FSIZE), 100, {"--help"}, status).size() == 100);
  CHECK(status == 1);
}

TEST_CASE("a limit of descriptors is an error that names it") {
  const temporary_folder folder;
  int status = 0;
  const service s(folder / "s");
  for (rlim_t most = 4; most < 12; ++most) {
    CAPTURE(most);
    for (const words& arguments :
         {words{"call", folder / "s", "echo", "--data", "x", "--loop", "epoll"},
          {"serve", folder / "e", "--loop", "epoll"}}) {
      if (arguments[0] == "serve" && most > 6) continue;  // it may work
      const std::string said = with_limit(static_cast<int>(RLIMIT_NOFILE), most, arguments, status);
      CHECK((status == 0 || status == 1));
      if (status != 0)
        CHECK_MESSAGE(said.find("ulimit -n allows " + std::to_string(most) + " open files") !=
                          std::string::npos,
                      said);
    }
  }
}

}  // TEST_SUITE("cli_exit_codes")
