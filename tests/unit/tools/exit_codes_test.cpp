// SPDX-License-Identifier: BSL-1.0
// The one table of exit codes: what each error is for a script, in the program, in --help and in
// docs/command-line.md.
#include "exit_codes.hpp"

#include <doctest/doctest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <map>
#include <new>
#include <sstream>
#include <string>
#include <system_error>

TEST_SUITE("exit_codes") {

using namespace ringbell;
using namespace ringbell::tool;

namespace {

const std::map<errc, int> table{
    {errc::bad_name, 2},
    {errc::bad_ring_size, 2},
    {errc::message_too_large, 2},
    {errc::no_server, 3},
    {errc::refused_version, 4},
    {errc::refused_unauthorized, 4},
    {errc::refused_too_many, 4},
    {errc::refused_too_many_of_user, 4},
    {errc::refused_ring_size, 4},
    {errc::refused_bell, 4},
    {errc::refused_stopping, 4},
    {errc::refused_malformed, 4},
    {errc::refused_in_flight, 4},
    {errc::refused_bytes, 4},
    {errc::refused_no_resources, 4},
    {errc::refused_kind, 4},
    {errc::dropped_idle, 4},
    {errc::unsafe_directory, 4},
    {errc::peer_closed, 5},
    {errc::end_of_stream, 5},
    {errc::bad_peer, 5},
    {errc::bad_region, 5},
    {errc::timed_out, 6},
    {errc::no_such_method, 8},
    {errc::handler_failed, 8},
    {errc::name_in_use, 1},
    {errc::not_supported, 1},
    {errc::cancelled, 1},
    {errc::would_block, 1},
    {errc::busy, 1},
    {errc::closed, 1},
    {errc::wrong_loop, 1},
};

std::string document() {
  const char* const path = std::getenv("RINGBELL_COMMAND_LINE");
  std::ifstream file(path ? path : "");
  return {std::istreambuf_iterator<char>(file), {}};
}

}  // namespace

TEST_CASE("each error of the library has the exit code of the table, and the table has each") {
  int errors = 0;
  for (int value = 1;
       !std::error_code(value, category()).message().starts_with("unknown ringbell error");
       ++value, ++errors) {
    CAPTURE(std::error_code(value, category()).message());
    const auto expected = table.find(static_cast<errc>(value));
    REQUIRE(expected != table.end());
    CHECK(exit_code_of(std::error_code(value, category())) == expected->second);
  }
  CHECK(static_cast<std::size_t>(errors) >= table.size());
}

TEST_CASE("of the system's errors a lack of rights is a refusal, all others are failures") {
  for (const std::errc refused : {std::errc::permission_denied, std::errc::operation_not_permitted})
    CHECK(exit_code_of(std::make_error_code(refused)) == exit_refused);
  for (const std::errc failed :
       {std::errc::too_many_files_open, std::errc::not_enough_memory, std::errc::file_too_large,
        std::errc::no_space_on_device, std::errc::no_such_file_or_directory, std::errc::broken_pipe,
        std::errc::connection_refused})
    CHECK(exit_code_of(std::make_error_code(failed)) == exit_failure);
}

TEST_CASE("the document lists the codes that --help lists") {
  const std::string text = document();
  if (text.empty()) {
    MESSAGE("skipped: RINGBELL_COMMAND_LINE is not set");
    return;
  }
  std::istringstream help(exit_codes_help);
  std::string line;
  std::getline(help, line);
  while (std::getline(help, line)) {
    const std::string code = line.substr(2, line.find("  ", 2) - 2);
    CHECK_MESSAGE(text.find("\n| " + code + " | ") != std::string::npos, code);
  }
}

}  // TEST_SUITE("exit_codes")
