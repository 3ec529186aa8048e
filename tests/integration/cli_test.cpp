// SPDX-License-Identifier: BSL-1.0
// The command line tool, as a shell sees it: what it prints, and how it ends.
#include "support/pattern.hpp"
#include "support/resources.hpp"
#include "support/tool_process.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

TEST_SUITE("cli") {

using namespace ringbell::test;
using std::chrono::milliseconds;

namespace {

// Such as `matches()` would know.
std::string random_bytes(std::size_t size, std::uint64_t seed) {
  std::string bytes(size, '\0');
  fill(std::as_writable_bytes(std::span(bytes)), seed);
  return bytes;
}

}  // namespace

TEST_CASE("--help tells of each command, and of the exit codes") {
  tool general({"--help"});
  CHECK(general.wait() == 0);
  CHECK(general.out().find("bench") !=
        std::string::npos);  // whose help is another program's, which need not be there
  for (const std::string command :
       {"demo", "pipe", "echo", "ping", "serve", "proxy", "call", "top", "doctor"}) {
    CAPTURE(command);
    CHECK(general.out().find(command) != std::string::npos);
    tool t({command, "--help"});
    CHECK(t.wait() == 0);
    CHECK(t.out().find("Exit codes:") != std::string::npos);
    CHECK(t.out().find("Usage: ") != std::string::npos);
    CHECK(t.err().empty());
  }
}

TEST_CASE("--version names the program and a version") {
  tool t({"--version"});
  CHECK(t.wait() == 0);
  CHECK(t.out().starts_with("ringbell "));
}

TEST_CASE("wrong usage is one line and exit code 2") {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"nonsense"},
      {"ping"},
      {"pipe"},
      {"pipe", "--listen", "a", "--connect", "b"},
      {"ping", "x", "--timeout", "soon"},
      {"ping", "x", "--size", "1G"},
      {"ping", "x", "--count", "-1"},
      {"ping", "x", "--loop", "select"},
      {"ping", "x", "--spin", "sometimes"},
      {"demo", "--ring-bytes", "5000"},
      {"echo", "x", "--ring-bytes", "2GiB"},
      {"echo", "x", "--ring-bytes", "1KiB"},
      {"ping", "a name", "--timeout", "100ms"},
      {"ping", "a\nname", "--timeout", "100ms"},
      {"ping", "", "--timeout", "100ms"},
      {"echo", std::string("/tmp/") + std::string(200, 'x')},
      {"ping", std::string("/tmp/") + std::string(200, 'x')},
      {"echo", "/nonexistent/folder/socket"},
  };
  for (const auto& arguments : wrong) {
    CAPTURE(arguments);
    tool t(arguments);
    CHECK(t.wait() == 2);
    CHECK_MESSAGE(t.one_line(), t.err());
    CHECK(t.out().empty());
  }
}

TEST_CASE("demo measures both kinds of exchange and leaves nothing behind") {
  tool t({"demo", "--quick", "--json"});
  CHECK(t.wait() == 0);
  const std::string out = t.out();
  CHECK(out.front() == '{');
  CHECK(out.ends_with("}\n"));
  CHECK(std::count(out.begin(), out.end(), '{') == std::count(out.begin(), out.end(), '}'));
  for (const char* key :
       {"kernel", "loop", "round_trips", "ringbell_hot_64", "ringbell_1khz_64", "socket_hot_64",
        "p50_ns", "p999_ns", "one_way", "one_way_64", "messages_per_second", "bytes_per_second",
        "cpu_server_ns", "socket_to_ringbell_hot_p50"})
    CHECK_MESSAGE(out.find('"' + std::string(key) + "\":") != std::string::npos, key);
  tool doctor({"doctor"});
  REQUIRE(doctor.wait() == 0);
  const bool with_asio = doctor.out().find("built with Asio") != std::string::npos ||
                         doctor.out().find("built with Boost") != std::string::npos;
  for (const char* key : {"asio_hot_64", "asio_to_ringbell_hot_p50"})
    CHECK_MESSAGE((out.find('"' + std::string(key) + "\":") != std::string::npos) == with_asio,
                  key);
  CHECK(t.err().empty());
  CHECK(t.left_behind().empty());
}

TEST_CASE("demo ended by a signal leaves no folder and no process") {
  for (const bool by_force : {false, true}) {
    CAPTURE(by_force);
    plumbing held;  // open in both of its processes, until they have ended
    tool t({"demo", "--json"}, stream::usual, stream::usual, held.in);
    held.in.reset();
    CHECK(eventually([&] { return t.has_company(); }));
    if (by_force)
      t.kill();
    else
      t.send(SIGINT);
    const int status = t.wait();
    CHECK_MESSAGE((by_force ? status == killed : is_end_by(SIGINT, status)), status);
    CHECK(t.out().empty());
    CHECK(ends_in_time(held.out));
    CHECK(t.left_behind().empty());
  }
}

TEST_CASE("pipe moves many MiB in both directions, every byte") {
  constexpr std::size_t size = std::size_t{slow_here ? 8 : 32} << 20;
  const temporary_folder folder;
  const file_folder files;
  const std::string there = random_bytes(size, 1);
  const std::string back = random_bytes(size, 2);
  write_file(files / "there", there);
  write_file(files / "back", back);
  const descriptor in1 = reading(files / "there"), in2 = reading(files / "back");
  const descriptor out1 = writing(files / "out1"), out2 = writing(files / "out2");
  tool listener({"pipe", "--listen", folder / "s"}, in1, out1);
  tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"}, in2, out2);
  CHECK(client.wait() == 0);
  CHECK(listener.wait() == 0);
  CHECK(contents_of(files / "out2") == there);
  CHECK(contents_of(files / "out1") == back);
  CHECK(client.err().empty());
  CHECK(left_in(folder).empty());
}

TEST_CASE(
    "pipe moves odd sizes through pipes and the smallest ring, and leaves their flags alone") {
  const temporary_folder folder;
  const std::string bytes = random_bytes(3'000'000, 3) + "odd";
  plumbing in, out;
  tool listener({"pipe", "--listen", folder / "s", "--ring-bytes", "4096"}, in.out);
  tool client({"pipe", "--timeout", "1min", "--connect", folder / "s", "--ring-bytes", "4096"},
              stream::usual, out.in);
  in.out.reset();
  std::thread writer([&] {
    const std::string_view all = bytes;
    for (std::size_t at = 0; at < all.size(); at += 7777)
      if (!write_all(in.in, all.substr(at, 7777))) break;
    in.in.reset();
  });
  std::string got;
  bool nonblocking = false;
  const auto deadline = clock_type::now() + patience;
  while (got.size() < bytes.size() && clock_type::now() < deadline) {
    const auto piece = next_piece(out.out, milliseconds(100));
    nonblocking |= is_nonblocking(out.in);
    if (!piece) continue;
    if (piece->empty()) break;
    got += *piece;
  }
  if (got.size() < bytes.size()) client.kill();  // so that the writer ends
  writer.join();
  CHECK(got == bytes);
  CHECK_FALSE(nonblocking);
  CHECK(client.wait() == 0);
  CHECK(listener.wait() == 0);
}

TEST_CASE("pipe with empty input on both sides ends in order") {
  const temporary_folder folder;
  tool listener({"pipe", "--listen", folder / "s"});
  tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"});
  CHECK(client.wait() == 0);
  CHECK(listener.wait() == 0);
  CHECK((listener.out() + client.out()).empty());
}

TEST_CASE("pipe carries the end of one direction over while the other goes on") {
  const temporary_folder folder;
  plumbing question, answer_in, listener_out;
  tool listener({"pipe", "--listen", folder / "s"}, answer_in.out, listener_out.in);
  tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"}, question.out);
  listener_out.in.reset();
  CHECK(write_all(question.in, "ask\n"));
  CHECK(read_line(listener_out.out) == "ask");
  question.in.reset();
  CHECK(ends_in_time(listener_out.out));  // standard output was closed, though the process goes on
  CHECK(listener.wait(milliseconds(1)) == timed_out);
  CHECK(write_all(answer_in.in, "late answer"));
  answer_in.in.reset();
  CHECK(client.wait() == 0);
  CHECK(listener.wait() == 0);
  CHECK(client.out() == "late answer");
}

TEST_CASE("pipe says so within a second when its peer is killed") {
  for (const bool ended_before : {false, true}) {
    CAPTURE(ended_before);
    const temporary_folder folder;
    plumbing open_input, more_input, output;
    tool listener({"pipe", "--listen", folder / "s"},
                  ended_before ? stream(stream::usual) : stream(open_input.out));
    tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"}, more_input.out,
                output.in);
    output.in.reset();
    CHECK(write_all(more_input.in, "x"));
    CHECK(eventually([&] { return listener.out() == "x"; }));
    if (ended_before) CHECK(ends_in_time(output.out));
    listener.kill();
    CHECK(client.wait() == 5);
    CHECK_MESSAGE(client.one_line(), client.err());
  }
}

TEST_CASE("pipe whose reader has gone fails with an error, and its peer hears of it") {
  const temporary_folder folder;
  plumbing out;
  plumbing forever;
  tool listener({"pipe", "--listen", folder / "s"}, forever.out);
  tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"}, stream::usual, out.in);
  out.out.reset();
  out.in.reset();
  CHECK(write_all(forever.in, "x"));
  CHECK(client.wait() == 1);
  CHECK_MESSAGE(client.one_line(), client.err());
  CHECK(listener.wait() == 5);
  CHECK_MESSAGE(listener.one_line(), listener.err());
}

TEST_CASE("pipe to what cannot be written, such as a full disk, fails in one line") {
  const temporary_folder folder;
  const descriptor full = writing_in_vain();
  plumbing forever;
  tool listener({"pipe", "--listen", folder / "s"}, forever.out);
  tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"}, stream::usual, full);
  CHECK(write_all(forever.in, "x"));
  CHECK(client.wait() == 1);
  CHECK_MESSAGE(client.one_line(), client.err());
  CHECK_MESSAGE(client.err().find(in_vain) != std::string::npos, client.err());
  CHECK(listener.wait() == 5);
}

TEST_CASE(
    "pipe with closed standard descriptors: no input is empty input, no output is an error once there is some") {
  const temporary_folder folder;
  {
    tool listener({"pipe", "--listen", folder / "s"}, stream::closed, stream::closed);
    tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"}, stream::closed,
                stream::closed);
    CHECK_MESSAGE(client.wait() == 0, client.err());
    CHECK_MESSAGE(listener.wait() == 0, listener.err());
  }
  plumbing in;
  tool listener({"pipe", "--listen", folder / "s"}, in.out);
  tool client({"pipe", "--timeout", "1min", "--connect", folder / "s"}, stream::usual,
              stream::closed);
  CHECK(write_all(in.in, "x"));
  CHECK(client.wait() == 1);
  CHECK_MESSAGE(client.one_line(), client.err());
}

TEST_CASE("pipe that is interrupted before a peer came removes its socket") {
  const temporary_folder folder;
  tool listener({"pipe", "--listen", folder / "s"});
  CHECK(eventually([&] { return !left_in(folder).empty(); }));
  listener.send(polite_signal);
  CHECK(listener.wait() == 128 + polite_signal);
  CHECK(left_in(folder).empty());
}

TEST_CASE("echo says where it listens, and answers ping") {
  const temporary_folder folder;
  echo_server echo(folder / "s");
  CHECK(echo.greeting().find(folder / "s") != std::string::npos);
  CHECK(echo.greeting().find("loop: ") != std::string::npos);
  for (const char* size : {"0", "1", "64", "300", "64KiB", "3M"}) {
    CAPTURE(size);
    tool ping({"ping", folder / "s", "--count", "20", "--interval", "0", "--size", size});
    CHECK(ping.wait() == 0);
    CHECK_MESSAGE(ping.out().find("20 sent, 20 received") != std::string::npos, ping.out());
    CHECK(ping.out().find("p99.9") != std::string::npos);
    CHECK(ping.err().empty());
  }
  tool ping({"ping", folder / "s", "--count", "5", "--interval", "1ms", "--json"});
  CHECK(ping.wait() == 0);
  CHECK(ping.out().starts_with("{\"name\":"));
  CHECK(ping.out().find("\"received\":5,") != std::string::npos);
  CHECK(ping.out().find("\"p99_ns\":") != std::string::npos);
}

TEST_CASE("echo ended by a signal exits with 0 and removes its socket") {
  const temporary_folder folder;
  for (const int signal : polite_signals) {
    echo_server echo(folder / "s");
    CHECK_FALSE(left_in(folder).empty());
    echo.process().send(signal);
    CHECK(echo.process().wait() == 0);
    CHECK(left_in(folder).empty());
  }
}

TEST_CASE("ping that is interrupted prints what it has measured") {
  const temporary_folder folder;
  echo_server echo(folder / "s");
  plumbing out;
  tool ping({"ping", folder / "s", "--count", "0", "--interval", "60ms"}, stream::usual, out.in);
  out.in.reset();
  CHECK(read_line(out.out).find("seq=0") != std::string::npos);
  ping.send(SIGINT);
  std::string line;
  do line = read_line(out.out);
  while (!line.empty() && line.find("p50") == std::string::npos);
  CHECK_FALSE(line.empty());
  CHECK(ping.wait() == 0);
}

TEST_CASE("ping of a name that nobody has ends in time with exit code 3") {
  const temporary_folder folder;
  tool patient({"ping", folder / "s", "--timeout", "10min"});  // comes first, and goes on
  tool ping({"ping", folder / "s", "--timeout", "300ms"});
  CHECK(ping.wait() == 3);
  CHECK_MESSAGE(ping.one_line(), ping.err());
  CHECK(patient.wait(milliseconds(1)) == timed_out);
}

TEST_CASE("ping of a server that does not answer ends in time with exit code 6") {
  const temporary_folder folder;
  echo_server echo(folder / "s");
  SUBCASE("while connecting") {
    echo.process().stop();
    tool ping({"ping", folder / "s", "--timeout", "300ms"});
    CHECK(ping.wait() == 6);
    CHECK_MESSAGE(ping.one_line(), ping.err());
  }
  SUBCASE("later") {
    plumbing out;
    tool ping({"ping", folder / "s", "--count", "0", "--interval", "60ms", "--timeout", "300ms"},
              stream::usual, out.in);
    CHECK(read_line(out.out).find("seq=0") != std::string::npos);
    echo.process().stop();
    CHECK(ping.wait() == 6);
    CHECK_MESSAGE(ping.one_line(), ping.err());
  }
}

TEST_CASE("ping whose server is killed ends within a second with exit code 5") {
  const temporary_folder folder;
  echo_server echo(folder / "s");
  plumbing out;
  tool ping({"ping", folder / "s", "--count", "0", "--interval", "60ms"}, stream::usual, out.in);
  CHECK(read_line(out.out).find("seq=0") != std::string::npos);
  echo.process().kill();
  CHECK(ping.wait() == 5);
  CHECK_MESSAGE(ping.one_line(), ping.err());
}

TEST_CASE("ping with rings larger than the server takes is refused, with the server's limit") {
  const temporary_folder folder;
  echo_server echo(folder / "s");
  tool ping({"ping", folder / "s", "--ring-bytes", "128M"});
  CHECK(ping.wait() == 4);
  CHECK_MESSAGE(ping.one_line(), ping.err());
  CHECK(ping.err().find("67108864") != std::string::npos);
}

TEST_CASE("a live name is not taken over, a dead one's socket is replaced") {
  const temporary_folder folder;
  {
    echo_server first(folder / "s");
    tool second({"echo", folder / "s"});
    CHECK(second.wait() == 1);
    CHECK_MESSAGE(second.one_line(), second.err());
    first.process().kill();
    CHECK(first.process().wait() == killed);
  }
  CHECK(left_in(folder).empty() != names_outlive_servers);
  tool nobody({"ping", folder / "s", "--timeout", "100ms"});
  CHECK(nobody.wait() == 3);
  echo_server successor(folder / "s");
  tool ping({"ping", folder / "s", "--count", "1"});
  CHECK(ping.wait() == 0);
}

TEST_CASE("doctor finds this machine usable") {
  tool text({"doctor"});
  CHECK(text.wait() == 0);
  for (const char* what : seen_by_doctor)
    CHECK_MESSAGE(text.out().find(what) != std::string::npos, what);
  CHECK(text.out().find("missing") == std::string::npos);
  tool as_json({"doctor", "--json"});
  CHECK(as_json.wait() == 0);
  CHECK(as_json.out().find("\"usable\":true") != std::string::npos);
}

TEST_CASE("figures that cannot be written are an error, in one line") {
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"doctor"}, {"--help"}, {"doctor", "--json"}}) {
    const descriptor full = writing_in_vain();
    tool t(arguments, stream::usual, full);
    CHECK(t.wait() == 1);
    CHECK_MESSAGE(t.one_line(), t.err());
  }
  tool t({"doctor"}, stream::usual, stream::closed);
  CHECK(t.wait() == 1);
  CHECK_MESSAGE(t.one_line(), t.err());
}

}  // TEST_SUITE("cli")
