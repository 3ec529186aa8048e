// SPDX-License-Identifier: BSL-1.0
// How the tool writes: JSON, sizes, and what it suggests for what was mistyped.
#include "common/json.hpp"
#include "common/units.hpp"
#include "nearest.hpp"
#include "proxy/address.hpp"

#include <doctest/doctest.h>

#include <limits>
#include <string>
#include <vector>

TEST_SUITE("tool_words") {

using namespace ringbell::tool;

namespace {

std::string quoted(std::string_view text) {
  json out;
  out.begin_array().value("", text).end_array();
  const std::string all = out.text();
  return all.substr(2, all.size() - 4);
}

}  // namespace

TEST_CASE("JSON is valid UTF-8 whatever bytes a name consists of") {
  for (const char* same : {"echo", "gr\xc3\xbc\xc3\x9f", "\xe2\x82\xac", "\xf0\x9f\x94\x94",
                           "\xed\x9f\xbf", "\xee\x80\x80", "\xf4\x8f\xbf\xbf", "\xc2\x80", "\x7f"})
    CHECK(quoted(same) == same);
  CHECK(quoted("a\xff"
               "b") == "a\\ufffdb");
  for (const char* wrong : {"\x80", "\xbf", "\xc0", "\xc3", "\xfe"})
    CHECK_MESSAGE(quoted(wrong) == "\\ufffd", wrong);
  // Short forms, halves of pairs, beyond the last one, and beginnings: one for each byte.
  for (const char* wrong : {"\xc0\xaf", "\xc1\xbf", "\xe2\x82", "\xf5\x80"})
    CHECK_MESSAGE(quoted(wrong) == "\\ufffd\\ufffd", wrong);
  for (const char* wrong : {"\xe0\x80\xaf", "\xed\xa0\x80", "\xf0\x9f\x94"})
    CHECK_MESSAGE(quoted(wrong) == "\\ufffd\\ufffd\\ufffd", wrong);
  for (const char* wrong : {"\xf0\x8f\xbf\xbf", "\xf4\x90\x80\x80"})
    CHECK_MESSAGE(quoted(wrong) == "\\ufffd\\ufffd\\ufffd\\ufffd", wrong);
  CHECK(quoted("\xe2\x82\"x") == "\\ufffd\\ufffd\\\"x");
  CHECK(quoted(std::string_view("\0\n", 2)) == "\\u0000\\u000a");
}

TEST_CASE("JSON has no word for what is no number") {
  json out;
  out.begin_object()
      .value("a", std::numeric_limits<double>::quiet_NaN())
      .value("b", std::numeric_limits<double>::infinity())
      .end_object();
  CHECK(out.text() == R"({"a":0,"b":0})");
}

TEST_CASE("a limit is written as it may be typed") {
  for (const auto& [bytes, text] :
       std::vector<std::pair<std::uint64_t, std::string>>{{0, "0"},
                                                          {1000, "1000"},
                                                          {4096, "4KiB"},
                                                          {65537, "65537"},
                                                          {64 << 20, "64MiB"},
                                                          {std::uint64_t{1} << 30, "1GiB"}}) {
    CHECK(exact_bytes(bytes) == text);
    CHECK(parse_bytes(text) == bytes);
  }
}

TEST_CASE("the nearest word is suggested, and none that is far") {
  const std::vector<std::string> commands{"demo", "pipe", "echo",  "ping",  "serve",
                                          "call", "top",  "bench", "doctor"};
  CHECK(nearest("srve", commands) == "serve");
  CHECK(nearest("pnig", commands) == "ping");
  CHECK(nearest("docter", commands) == "doctor");
  CHECK(nearest("clal", commands) == "call");
  CHECK(nearest("zzzzzz", commands).empty());
  CHECK(nearest("", commands).empty());
  CHECK(nearest("--tiemout", {"--timeout", "--threads"}) == "--timeout");
  CHECK(distance_between("", "abc") == 3);
  CHECK(distance_between("abc", "acb") == 1);
}

TEST_CASE("an address of the proxy is a socket's or the name of a service") {
  const auto read = [](const char* text) {
    const auto address = parse_proxy_address(text);
    return address ? text_of(*address) : "none";
  };
  for (const char* same : {"tcp:127.0.0.1:8080", "tcp:localhost:0", "tcp:[::1]:65535",
                           "unix:/run/x.sock", "unix:relative", "echo", "/tmp/echo", "a.b"})
    CHECK(read(same) == same);
  CHECK(parse_proxy_address("tcp:[::1]:80")->host == "::1");
  CHECK(parse_proxy_address("unix:a:b")->path == "a:b");
  CHECK(parse_proxy_address("tcp:h:1")->is_socket());
  CHECK_FALSE(parse_proxy_address("tcp")->is_socket());
  for (const char* none : {"", "unix:", "tcp:", "tcp:80", "tcp::80", "tcp:[]:80", "tcp:::1:80",
                           "tcp:h:", "tcp:h:65536", "tcp:h:123456", "tcp:h:http", "tcp:h:-1"})
    CHECK_MESSAGE(read(none) == "none", none);
}

}  // TEST_SUITE("tool_words")
