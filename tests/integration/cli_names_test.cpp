// SPDX-License-Identifier: BSL-1.0
// Where names live, as a shell sees it: each command refuses a place that is not safe, with exit
// code 4 and a line that says which place, whose, and why.
#include "support/applies.hpp"
#include "support/foreign_server.hpp"
#include "support/is_root.hpp"
#include "support/service_process.hpp"
#include "support/tool_as_user.hpp"

#include <doctest/doctest.h>

#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <string>
#include <vector>

TEST_SUITE("cli_names") {

using namespace ringbell::test;

namespace {

using words = std::vector<std::string>;

/// Every command that takes a name, or looks for names.
const std::vector<words> all_commands{
    {"echo", "n"},
    {"serve", "n"},
    {"pipe", "--listen", "n"},
    {"pipe", "--connect", "n", "--timeout", "20ms"},
    {"ping", "n", "--timeout", "20ms"},
    {"call", "n", "echo", "--data", "x", "--timeout", "20ms"},
    {"top", "n", "--once", "--timeout", "20ms"},
    {"top", "n", "--once", "--json", "--timeout", "20ms"},
    {"top", "--once"},
    {"top", "--once", "--json"},
};

void all_say(int code, const words& expected) {
  for (const words& command : all_commands) {
    CAPTURE(command);
    tool t(command);
    CHECK(t.wait() == code);
    CHECK_MESSAGE(t.one_line(), t.err());
    CHECK(t.out().empty());
    for (const std::string& part : expected)
      CHECK_MESSAGE(t.err().find(part) != std::string::npos, t.err());
  }
}

}  // namespace

TEST_CASE("every command refuses a folder that another user made first") {
  if (!is_root()) return;
  const squatted_folder folder;
  all_say(4, {"belongs to user 65533 and has mode 0777: expected user 0 and mode 0700",
              "$XDG_RUNTIME_DIR"});
}

TEST_CASE("every command refuses a folder that is open to others, is a link, or no folder") {
  const runtime_folder folder;
  const std::string here = folder / "ringbell";
  REQUIRE(::mkdir(here.c_str(), 0755) == 0);
  all_say(4, {here, "has mode 0755: expected user", "set $XDG_RUNTIME_DIR"});
  std::filesystem::rename(here, folder / "real");
  REQUIRE(::chmod((folder / "real").c_str(), 0700) == 0);
  std::filesystem::create_directory_symlink("real", here);
  all_say(4, {here + " is a link, and belongs to user"});
  std::filesystem::remove(here);
  write_file(here, "");
  all_say(4, {here + " is no folder, and belongs to user"});
}

TEST_CASE(
    "every command refuses another user's runtime directory, root too, and makes nothing there") {
  if (!is_root()) return;
  const runtime_folder folder;
  REQUIRE(::chown((folder / "").c_str(), another_user, another_user) == 0);
  all_say(4, {"belongs to user 65533 and has mode 0700: expected root"});
  CHECK(std::filesystem::is_empty(folder / ""));
}

TEST_CASE("every command refuses a runtime directory in which others may rename") {
  const runtime_folder folder;
  REQUIRE(::chmod((folder / "").c_str(), 0777) == 0);
  all_say(4, {"has mode 0777: others may rename what is in it"});
  CHECK(std::filesystem::is_empty(folder / ""));
}

TEST_CASE("a runtime directory that does not exist is said to be missing") {
  const runtime_folder folder;
  const std::string missing = folder / "missing";
  set_variable("XDG_RUNTIME_DIR", missing.c_str());
  for (const words& command : all_commands) {
    CAPTURE(command);
    tool t(command);
    const int code = t.wait();
    const bool lists =
        command == words{"top", "--once"} || command == words{"top", "--once", "--json"};
    const bool connects = command[0] == "ping" || command[0] == "call" || command[0] == "top" ||
                          command[1] == "--connect";
    CHECK(code == (lists ? 0 : connects ? 3 : 1));
    if (!lists)
      CHECK_MESSAGE(t.err().find(missing + " does not exist: create it") != std::string::npos,
                    t.err());
  }
}

TEST_CASE("a path that is too long because of the variable is named, with the limit") {
  const runtime_folder folder;
  const std::string deep = folder / std::string(90, 'x');
  set_variable("XDG_RUNTIME_DIR", deep.c_str());
  tool t({"echo", "n"});
  CHECK(t.wait() == 2);
  CHECK_MESSAGE(t.err().find(deep + "/ringbell (from $XDG_RUNTIME_DIR") != std::string::npos,
                t.err());
  CHECK_MESSAGE(t.err().find("bytes, and a socket's at most ") != std::string::npos, t.err());
}

TEST_CASE("a runtime directory that is a link to the user's own works") {
  const runtime_folder folder;
  REQUIRE(::mkdir((folder / "real").c_str(), 0700) == 0);
  std::filesystem::create_directory_symlink("real", folder / "link");
  set_variable("XDG_RUNTIME_DIR", (folder / "link/").c_str());
  service s("n");
  tool call({"call", "n", "echo", "--data", "x"});
  CHECK(call.wait() == 0);
  CHECK(call.out() == "x");
}

TEST_CASE("a program with set-user-id ignores the environment, and says so" *
          not_on(address_sanitizer, "its search for leaks fails in such a program")) {
  if (!is_root()) return;
  const runtime_folder folder;
  const temporary_folder place;
  REQUIRE(::chmod(place.path().c_str(), 0755) == 0);
  const std::string program = place / "ringbell";
  std::filesystem::copy_file(path_of_tool(), program);
  REQUIRE(::chown(program.c_str(), another_user, another_user) == 0);
  REQUIRE(::chmod(program.c_str(), 04755) == 0);
  const descriptor err = writing(place / "err");
  const int code =
      run_as(65532, program,
             {"call", "no-such-service", "echo", "--data", "x", "--timeout", "20ms"}, err.get());
  const std::string said = contents_of(place / "err");
  if (said.find("is not set") != std::string::npos || said.find("65532") != std::string::npos) {
    MESSAGE("skipped: this file system does not know set-user-id");
    return;
  }
  CHECK(code == 3);
  CHECK_MESSAGE(
      said.find(
          "/tmp/ringbell-65533 ($XDG_RUNTIME_DIR does not count in a program with set-user-id") !=
          std::string::npos,
      said);
}

TEST_CASE("doctor says what is wrong with the folder of names, and goes on") {
  const runtime_folder folder;
  REQUIRE(::mkdir((folder / "ringbell").c_str(), 0755) == 0);
  tool t({"doctor"});
  CHECK(t.wait() == 0);
  const std::string out = t.out();
  const std::size_t line = out.find("limited  service names");
  REQUIRE(line != std::string::npos);
  CHECK(out.find(folder / "ringbell" + " belongs to user", line) != std::string::npos);
}

}  // TEST_SUITE("cli_names")
