// SPDX-License-Identifier: BSL-1.0
// `ringbell serve` and `call`, as a shell sees them.
#include "support/applies.hpp"
#include "support/pattern.hpp"
#include "support/resources.hpp"
#include "support/service_process.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <span>
#include <string>
#include <vector>

TEST_SUITE("cli_services") {

using namespace ringbell::test;
using std::chrono::milliseconds;

namespace {

std::string bytes_of_any_value(std::size_t size) {
  std::string bytes(size, '\0');
  fill(std::as_writable_bytes(std::span(bytes)), 1);
  return bytes;
}

/// Whether a service takes no calls any more, after a while. That a call gets no answer says
/// nothing. On Windows it must do: a pipe has its name as long as it has a client, whoever serves
/// it.
bool takes_no_calls(const std::string& name) {
  return eventually([&] {
    tool late({"call", name, "time", "--timeout", "200ms"});
    const int code = late.wait();
    return code == 3 || code == 4 || code == 5 || (code == 6 && RINGBELL_TEST_HOST == windows);
  });
}

}  // namespace

TEST_CASE("serve says where it listens, and ends in order by a signal") {
  const temporary_folder folder;
  for (const int signal : polite_signals) {
    service s(folder / "s");
    CHECK(s.greeting().find(folder / "s") != std::string::npos);
    s.process().send(signal);
    CHECK(s.process().wait() == 0);
    CHECK(s.process().err().empty());
    CHECK(left_in(folder).empty());
  }
}

TEST_CASE("call echo gives back each byte, with one thread and with several") {
  const temporary_folder folder;
  const file_folder files;
  for (const char* threads : {"1", "3"}) {
    service s(folder / "s", {"--threads", threads});
    for (const std::size_t size : {0, 1, 5000, 3'000'000}) {
      CAPTURE(size);
      const std::string bytes = bytes_of_any_value(size);
      write_file(files / "in", bytes);
      const descriptor in = reading(files / "in");
      tool t({"call", folder / "s", "echo"}, in);
      CHECK(t.wait() == 0);
      CHECK(t.out() == bytes);
      CHECK(t.err().empty());
    }
  }
}

TEST_CASE("call --stream echo gives back more than a message can be, each byte") {
  const temporary_folder folder;
  const file_folder files;
  service s(folder / "s");
  const std::string bytes = bytes_of_any_value((std::size_t{slow_here ? 17 : 20} << 20) + 3);
  write_file(files / "in", bytes);
  const descriptor in = reading(files / "in");
  tool t({"call", folder / "s", "echo", "--stream"}, in);
  CHECK(t.wait() == 0);
  CHECK(t.out() == bytes);
}

TEST_CASE("call --stream sends each part as it comes") {
  const temporary_folder folder;
  service s(folder / "s");
  plumbing in, out;
  tool t({"call", folder / "s", "echo", "--stream"}, in.out, out.in);
  out.in.reset();
  for (const std::string line : {"one", "two"}) {
    CHECK(write_all(in.in, line + '\n'));
    CHECK(read_line(out.out) == line);
  }
  in.in.reset();
  CHECK(t.wait() == 0);
}

TEST_CASE("call --stream ends with the reply, though its input goes on") {
  const temporary_folder folder;
  service s(folder / "s");
  plumbing in;
  tool t({"call", folder / "s", "time", "--stream"}, in.out);
  CHECK(t.wait() == 0);
  CHECK(t.out().ends_with("Z\n"));
}

TEST_CASE("call gives the time, waits for sleep, and counts") {
  const temporary_folder folder;
  service s(folder / "s");
  tool time({"call", folder / "s", "time"});
  CHECK(time.wait() == 0);
  CHECK(time.out().size() == std::string("2026-01-01T00:00:00.000000000Z\n").size());
  const auto begin = clock_type::now();
  tool sleep({"call", folder / "s", "sleep", "--data", "50ms\n"});
  CHECK(sleep.wait() == 0);
  CHECK(clock_type::now() - begin >= milliseconds(50));
  tool count({"call", folder / "s", "count", "--data", "3"});
  CHECK(count.wait() == 0);
  CHECK(count.out() == "1\n2\n3\n");
  tool many({"call", folder / "s", "count", "--data", "100000"});
  CHECK(many.wait() == 0);
  CHECK(many.out().ends_with("\n99999\n100000\n"));
}

TEST_CASE("call takes a method's number as well as its name") {
  const temporary_folder folder;
  service s(folder / "s");
  // FNV-1a of "echo", without the highest bit.
  tool echo({"call", folder / "s", "0x549dd484", "--data", "x"});
  CHECK(echo.wait() == 0);
  CHECK(echo.out() == "x");
  tool none({"call", folder / "s", "42", "--data", "x"});
  CHECK(none.wait() == 8);
}

TEST_CASE("call whose service answers with an error ends with exit code 8 and says which") {
  const temporary_folder folder;
  service s(folder / "s");
  tool unknown({"call", folder / "s", "nonsense", "--data", "x"});
  CHECK(unknown.wait() == 8);
  CHECK_MESSAGE(unknown.one_line(), unknown.err());
  CHECK(unknown.err().find("no such method") != std::string::npos);
  tool wrong({"call", folder / "s", "sleep", "--data", "soon"});
  CHECK(wrong.wait() == 8);
  CHECK_MESSAGE(wrong.one_line(), wrong.err());
  CHECK(wrong.err().find("system error 22") != std::string::npos);
  CHECK(wrong.err().find("got 'soon'") != std::string::npos);
}

TEST_CASE("call of a name that nobody has ends in time with exit code 3") {
  const temporary_folder folder;
  tool patient({"call", folder / "s", "echo", "--timeout", "10min"});  // comes first, and goes on
  tool t({"call", folder / "s", "echo", "--timeout", "200ms"});
  CHECK(t.wait() == 3);
  CHECK_MESSAGE(t.one_line(), t.err());
  CHECK(patient.wait(milliseconds(1)) == timed_out);
}

TEST_CASE("call with a request that is too long names the limit") {
  const temporary_folder folder;
  const file_folder files;
  service s(folder / "s");
  write_file(files / "in", std::string(std::size_t{17} << 20, 'x'));
  const descriptor in = reading(files / "in");
  tool t({"call", folder / "s", "echo"}, in);
  CHECK(t.wait() == 2);
  CHECK_MESSAGE(t.one_line(), t.err());
  CHECK(t.err().find("16.0 MiB") != std::string::npos);
  CHECK(t.out().empty());
}

TEST_CASE(
    "call that gets no answer in time ends with exit code 6, and the service's handler is stopped") {
  const temporary_folder folder;
  service s(folder / "s");
  tool t({"call", folder / "s", "sleep", "--data", "1min", "--timeout", "100ms"});
  CHECK(t.wait() == 6);
  CHECK_MESSAGE(t.one_line(), t.err());
  s.process().send(polite_signal);
  CHECK(s.process().wait() == 0);
  CHECK(s.process().err().empty());
}

TEST_CASE("a service that is stopped lets a call under way finish, and takes no other") {
  const temporary_folder folder;
  service s(folder / "s", {"--grace", "10min"});
  plumbing in;
  tool t({"call", folder / "s", "echo", "--stream"}, in.out);  // ends with its input
  CHECK(write_all(in.in, "before, "));
  REQUIRE(under_way(folder / "s", 1));
  s.process().send(polite_signal);
  CHECK(takes_no_calls(folder / "s"));
  CHECK(write_all(in.in, "after"));
  in.in.reset();
  CHECK(t.wait() == 0);
  CHECK(t.out() == "before, after");
  CHECK(s.process().wait() == 0);
  CHECK(s.process().err().empty());
  CHECK(left_in(folder).empty());
}

TEST_CASE("a call that does not end within the grace is cut off, and serve says so") {
  const temporary_folder folder;
  service s(folder / "s", {"--grace", "50ms"});
  tool t({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 1));
  s.process().send(polite_signal);
  CHECK(s.process().wait() == 0);
  CHECK_MESSAGE(s.process().one_line(), s.process().err());
  const int code = t.wait();
  CHECK((code == 4 || code == 5));
  CHECK_MESSAGE(t.one_line(), t.err());
}

TEST_CASE("a second signal ends a service at once") {
  const temporary_folder folder;
  service s(folder / "s", {"--grace", "1min"});
  tool t({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 1));
  s.process().send(polite_signal);
  CHECK(takes_no_calls(folder / "s"));  // so the first one has been heard
  s.process().send(polite_signal);
  CHECK(s.process().wait() == 0);
}

TEST_CASE("call whose service is killed ends within a second with exit code 5") {
  const temporary_folder folder;
  service s(folder / "s");
  tool t({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 1));
  s.process().kill();
  CHECK(t.wait() == 5);
  CHECK_MESSAGE(t.one_line(), t.err());
}

TEST_CASE("a service with as many clients as it takes refuses the next, with exit code 4") {
  const temporary_folder folder;
  service s(folder / "s", {"--max-clients", "1", "--threads", "2"});
  plumbing in, out;
  tool first({"call", folder / "s", "echo", "--stream"}, in.out, out.in);
  CHECK(write_all(in.in, "x\n"));
  CHECK(read_line(out.out) == "x");
  tool second({"call", folder / "s", "echo"});
  CHECK(second.wait() == 4);
  CHECK_MESSAGE(second.one_line(), second.err());
}

TEST_CASE("a reader that has had enough of a stream stops the service's handler") {
  const temporary_folder folder;
  service s(folder / "s");
  plumbing out;
  tool t({"call", folder / "s", "count", "--data", "1000000000000"}, stream::usual, out.in);
  out.in.reset();
  CHECK(read_line(out.out) == "1");
  CHECK(under_way(folder / "s", 1));
  out.out.reset();
  CHECK(t.wait() == 1);
  CHECK_MESSAGE(t.one_line(), t.err());
  CHECK(under_way(folder / "s", 0));
}

TEST_CASE("wrong usage of the commands for services is one line and exit code 2") {
  const std::vector<std::vector<std::string>> wrong = {
      {"serve"},
      {"serve", "x", "--threads", "-1"},
      {"serve", "x", "--max-clients", "0"},
      {"serve", "x", "--grace", "soon"},
      {"call", "x"},
      {"call", "x", ""},
      {"call", "x", "99999999999"},
      {"call", "x", "echo", "--data", "y", "--stream"},
      {"call", "x", "echo", "--metadata", std::string(5000, 'm')},
      {"call", "a name", "echo"},
      {"top"},  // not a terminal
      {"top", "x"},
      {"top", "x", "--json"},
      {"top", "x", "--once", "--interval", "0"},
  };
  for (const auto& arguments : wrong) {
    CAPTURE(arguments);
    tool t(arguments);
    CHECK(t.wait() == 2);
    CHECK_MESSAGE(t.one_line(), t.err());
    CHECK(t.out().empty());
  }
}

}  // TEST_SUITE("cli_services")
