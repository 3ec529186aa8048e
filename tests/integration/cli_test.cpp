// SPDX-License-Identifier: BSL-1.0
// The command line tool, as a shell sees it: what it prints, and how it ends.
#include "support/tool_process.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

using namespace ringbell::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

std::string random_bytes(std::size_t size, std::uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string bytes(size, '\0');
  for (std::size_t i = 0; i + 8 <= size; i += 8) {
    const std::uint64_t word = random();
    std::copy_n(reinterpret_cast<const char*>(&word), 8, bytes.data() + i);
  }
  return bytes;
}

void write_file(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

}  // namespace

TEST_CASE("--help tells of each command, and of the exit codes") {
  tool general({"--help"});
  CHECK(general.wait() == 0);
  CHECK(general.out().find("bench") != std::string::npos);  // whose help is another program's, which need not be there
  for (const std::string command : {"demo", "pipe", "echo", "ping", "serve", "call", "top", "doctor"}) {
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
  const temporary_folder folder;
  tool t({"demo", "--quick", "--json"}, -2, -2, -2, folder.path());
  CHECK(t.wait(seconds(60)) == 0);
  const std::string out = t.out();
  CHECK(out.front() == '{');
  CHECK(out.ends_with("}\n"));
  CHECK(std::count(out.begin(), out.end(), '{') == std::count(out.begin(), out.end(), '}'));
  for (const char* key :
       {"kernel", "loop", "round_trips", "ringbell_hot_64", "ringbell_1khz_64", "socket_hot_64", "p50_ns", "p999_ns", "one_way",
        "one_way_64", "messages_per_second", "bytes_per_second", "cpu_server_ns", "socket_to_ringbell_hot_p50"})
    CHECK_MESSAGE(out.find('"' + std::string(key) + "\":") != std::string::npos, key);
  tool doctor({"doctor"});
  REQUIRE(doctor.wait(seconds(20)) == 0);
  const bool with_asio =
      doctor.out().find("built with Asio") != std::string::npos || doctor.out().find("built with Boost") != std::string::npos;
  for (const char* key : {"asio_hot_64", "asio_to_ringbell_hot_p50"})
    CHECK_MESSAGE((out.find('"' + std::string(key) + "\":") != std::string::npos) == with_asio, key);
  CHECK(t.err().empty());
  CHECK(std::filesystem::is_empty(folder.path()));
}

TEST_CASE("demo ended by a signal leaves no folder and no process") {
  for (const int signal : {SIGINT, SIGKILL}) {
    CAPTURE(signal);
    const temporary_folder folder;
    plumbing held;  // open in both of its processes, until they have ended
    const auto before = std::filesystem::last_write_time(folder.path());
    tool t({"demo", "--json"}, -2, -2, held.in.get(), folder.path());
    held.in.reset();
    // Both processes run once its folder was there, and has gone again.
    CHECK(
        eventually([&] { return std::filesystem::last_write_time(folder.path()) != before && std::filesystem::is_empty(folder.path()); }));
    t.send(signal);
    CHECK(t.wait(seconds(2)) == 1000 + signal);
    CHECK(ends_within(held.out.get(), seconds(2)));
    CHECK(std::filesystem::is_empty(folder.path()));
  }
}

TEST_CASE("pipe moves 64 MiB in both directions, every byte") {
  const temporary_folder folder;
  const std::string there = random_bytes(std::size_t{64} << 20, 1);
  const std::string back = random_bytes(std::size_t{64} << 20, 2);
  write_file(folder / "there", there);
  write_file(folder / "back", back);
  const descriptor in1 = reading(folder / "there"), in2 = reading(folder / "back");
  const descriptor out1 = writing(folder / "out1"), out2 = writing(folder / "out2");
  tool listener({"pipe", "--listen", folder / "s"}, in1.get(), out1.get());
  tool client({"pipe", "--connect", folder / "s"}, in2.get(), out2.get());
  CHECK(client.wait(seconds(60)) == 0);
  CHECK(listener.wait() == 0);
  CHECK(contents_of(folder / "out2") == there);
  CHECK(contents_of(folder / "out1") == back);
  CHECK(client.err().empty());
  CHECK_FALSE(std::filesystem::exists(folder / "s"));
}

TEST_CASE("pipe moves odd sizes through pipes and the smallest ring, and leaves their flags alone") {
  const temporary_folder folder;
  const std::string bytes = random_bytes(3'000'000, 3) + "odd";
  plumbing in, out;
  tool listener({"pipe", "--listen", folder / "s", "--ring-bytes", "4096"}, in.out.get());
  tool client({"pipe", "--connect", folder / "s", "--ring-bytes", "4096"}, -2, out.in.get());
  in.out.reset();
  const pid_t writer = start_child([&] {
    out.out.reset();
    std::size_t at = 0;
    while (at < bytes.size()) {
      const ssize_t n = ::write(in.in.get(), bytes.data() + at, std::min<std::size_t>(bytes.size() - at, 7777));
      if (n <= 0) return 1;
      at += static_cast<std::size_t>(n);
    }
    return 0;
  });
  in.in.reset();
  tool* const both[] = {&listener, &client};
  std::string got;
  bool nonblocking = false;
  const auto deadline = clock_type::now() + seconds(60);
  while (got.size() < bytes.size() && clock_type::now() < deadline) {
    pollfd p{out.out.get(), POLLIN, 0};
    if (::poll(&p, 1, 100) <= 0) continue;
    char piece[65536];
    const ssize_t n = ::read(out.out.get(), piece, sizeof piece);
    nonblocking |= (::fcntl(out.in.get(), F_GETFL) & O_NONBLOCK) != 0;
    if (n <= 0) break;
    got.append(piece, static_cast<std::size_t>(n));
  }
  CHECK(wait_for(writer) == 0);
  CHECK(got == bytes);
  CHECK_FALSE(nonblocking);
  for (tool* t : both) CHECK(t->wait() == 0);
}

TEST_CASE("pipe with empty input on both sides ends in order") {
  const temporary_folder folder;
  tool listener({"pipe", "--listen", folder / "s"});
  tool client({"pipe", "--connect", folder / "s"});
  CHECK(client.wait() == 0);
  CHECK(listener.wait() == 0);
  CHECK((listener.out() + client.out()).empty());
}

TEST_CASE("pipe carries the end of one direction over while the other goes on") {
  const temporary_folder folder;
  plumbing question, answer_in, listener_out;
  tool listener({"pipe", "--listen", folder / "s"}, answer_in.out.get(), listener_out.in.get());
  tool client({"pipe", "--connect", folder / "s"}, question.out.get());
  listener_out.in.reset();
  CHECK(::write(question.in.get(), "ask\n", 4) == 4);
  CHECK(read_line(listener_out.out.get()) == "ask");
  question.in.reset();
  CHECK(ends_within(listener_out.out.get(), seconds(5)));  // standard output was closed, though the process goes on
  CHECK(listener.wait(milliseconds(1)) == timed_out);
  CHECK(::write(answer_in.in.get(), "late answer", 11) == 11);
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
    tool listener({"pipe", "--listen", folder / "s"}, ended_before ? -2 : open_input.out.get());
    tool client({"pipe", "--connect", folder / "s"}, more_input.out.get(), output.in.get());
    output.in.reset();
    CHECK(::write(more_input.in.get(), "x", 1) == 1);
    CHECK(eventually([&] { return listener.out() == "x"; }));
    if (ended_before) CHECK(ends_within(output.out.get(), seconds(5)));
    listener.send(SIGKILL);
    CHECK(client.wait(seconds(1)) == 5);
    CHECK_MESSAGE(client.one_line(), client.err());
  }
}

TEST_CASE("pipe whose reader has gone fails instead of dying by SIGPIPE, and its peer hears of it") {
  const temporary_folder folder;
  plumbing out;
  plumbing forever;
  tool listener({"pipe", "--listen", folder / "s"}, forever.out.get());
  tool client({"pipe", "--connect", folder / "s"}, -2, out.in.get());
  out.out.reset();
  out.in.reset();
  CHECK(::write(forever.in.get(), "x", 1) == 1);
  CHECK(client.wait() == 1);
  CHECK_MESSAGE(client.one_line(), client.err());
  CHECK(listener.wait(seconds(1)) == 5);
  CHECK_MESSAGE(listener.one_line(), listener.err());
}

TEST_CASE("pipe to a full disk fails in one line") {
  const temporary_folder folder;
  const descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
  plumbing forever;
  tool listener({"pipe", "--listen", folder / "s"}, forever.out.get());
  tool client({"pipe", "--connect", folder / "s"}, -2, full.get());
  CHECK(::write(forever.in.get(), "x", 1) == 1);
  CHECK(client.wait() == 1);
  CHECK_MESSAGE(client.one_line(), client.err());
  CHECK(client.err().find("No space left") != std::string::npos);
  CHECK(listener.wait(seconds(1)) == 5);
}

TEST_CASE("pipe with closed standard descriptors: no input is empty input, no output is an error once there is some") {
  const temporary_folder folder;
  const descriptor nothing = reading("/dev/null");
  {
    tool listener({"pipe", "--listen", folder / "s"}, tool::closed, tool::closed);
    tool client({"pipe", "--connect", folder / "s"}, tool::closed, tool::closed);
    CHECK(client.wait() == 0);
    CHECK(listener.wait() == 0);
  }
  plumbing in;
  tool listener({"pipe", "--listen", folder / "s"}, in.out.get());
  tool client({"pipe", "--connect", folder / "s"}, nothing.get(), tool::closed);
  CHECK(::write(in.in.get(), "x", 1) == 1);
  CHECK(client.wait() == 1);
  CHECK_MESSAGE(client.one_line(), client.err());
}

TEST_CASE("pipe reads and writes sockets") {
  const temporary_folder folder;
  int ends[2];
  REQUIRE(socket_pair_closed_on_exec(ends) == 0);
  descriptor here(ends[0]), there(ends[1]);
  write_file(folder / "in", random_bytes(1 << 20, 4));
  const descriptor in = reading(folder / "in");
  tool listener({"pipe", "--listen", folder / "s"}, in.get());
  tool client({"pipe", "--connect", folder / "s"}, there.get(), there.get());
  there.reset();
  std::string got;
  char piece[65536];
  ssize_t n = 0;
  while (got.size() < 1 << 20 && (n = ::read(here.get(), piece, sizeof piece)) > 0) got.append(piece, static_cast<std::size_t>(n));
  CHECK(got == contents_of(folder / "in"));
  CHECK(::send(here.get(), "thanks", 6, 0) == 6);
  here.reset();
  CHECK(client.wait() == 0);
  CHECK(listener.wait() == 0);
  CHECK(listener.out() == "thanks");
}

TEST_CASE("pipe that is interrupted before a peer came removes its socket") {
  const temporary_folder folder;
  tool listener({"pipe", "--listen", folder / "s"});
  CHECK(eventually([&] { return std::filesystem::exists(folder / "s"); }));
  listener.send(SIGTERM);
  CHECK(listener.wait() == 128 + SIGTERM);
  CHECK(std::filesystem::is_empty(folder.path()));
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

TEST_CASE("echo ended by SIGTERM exits with 0 and removes its socket") {
  const temporary_folder folder;
  for (const int signal : {SIGTERM, SIGINT}) {
    echo_server echo(folder / "s");
    CHECK(std::filesystem::exists(folder / "s"));
    echo.process().send(signal);
    CHECK(echo.process().wait(seconds(2)) == 0);
    CHECK(std::filesystem::is_empty(folder.path()));
  }
}

TEST_CASE("ping that is interrupted prints what it has measured") {
  const temporary_folder folder;
  echo_server echo(folder / "s");
  plumbing out;
  tool ping({"ping", folder / "s", "--count", "0", "--interval", "60ms"}, -2, out.in.get());
  out.in.reset();
  CHECK(read_line(out.out.get()).find("seq=0") != std::string::npos);
  ping.send(SIGINT);
  std::string line;
  do line = read_line(out.out.get());
  while (!line.empty() && line.find("p50") == std::string::npos);
  CHECK_FALSE(line.empty());
  CHECK(ping.wait(seconds(2)) == 0);
}

TEST_CASE("ping of a name that nobody has ends in time with exit code 3") {
  const temporary_folder folder;
  const auto begin = clock_type::now();
  tool ping({"ping", folder / "s", "--timeout", "300ms"});
  CHECK(ping.wait() == 3);
  CHECK(clock_type::now() - begin < seconds(2));
  CHECK_MESSAGE(ping.one_line(), ping.err());
}

TEST_CASE("ping of a server that does not answer ends in time with exit code 6") {
  const temporary_folder folder;
  echo_server echo(folder / "s");
  SUBCASE("while connecting") {
    echo.process().send(SIGSTOP);
    tool ping({"ping", folder / "s", "--timeout", "300ms"});
    CHECK(ping.wait(seconds(2)) == 6);
    CHECK_MESSAGE(ping.one_line(), ping.err());
  }
  SUBCASE("later") {
    plumbing out;
    tool ping({"ping", folder / "s", "--count", "0", "--interval", "60ms", "--timeout", "300ms"}, -2, out.in.get());
    CHECK(read_line(out.out.get()).find("seq=0") != std::string::npos);
    echo.process().send(SIGSTOP);
    CHECK(ping.wait(seconds(2)) == 6);
    CHECK_MESSAGE(ping.one_line(), ping.err());
  }
}

TEST_CASE("ping whose server is killed ends within a second with exit code 5") {
  const temporary_folder folder;
  echo_server echo(folder / "s");
  plumbing out;
  tool ping({"ping", folder / "s", "--count", "0", "--interval", "60ms"}, -2, out.in.get());
  CHECK(read_line(out.out.get()).find("seq=0") != std::string::npos);
  echo.process().send(SIGKILL);
  CHECK(ping.wait(seconds(1)) == 5);
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
    first.process().send(SIGKILL);
    CHECK(first.process().wait() == 1000 + SIGKILL);
  }
  CHECK(std::filesystem::exists(folder / "s"));
  tool nobody({"ping", folder / "s", "--timeout", "100ms"});
  CHECK(nobody.wait() == 3);
  echo_server successor(folder / "s");
  tool ping({"ping", folder / "s", "--count", "1"});
  CHECK(ping.wait() == 0);
}

TEST_CASE("doctor finds this machine usable") {
  tool text({"doctor"});
  CHECK(text.wait() == 0);
  for (const char* what : {"kernel", "io_uring", "loop", "sealed memory", "exchange", "CPUs", "open files", "parking"})
    CHECK_MESSAGE(text.out().find(what) != std::string::npos, what);
  CHECK(text.out().find("missing") == std::string::npos);
  tool as_json({"doctor", "--json"});
  CHECK(as_json.wait() == 0);
  CHECK(as_json.out().find("\"usable\":true") != std::string::npos);
}

TEST_CASE("figures that cannot be written are an error, in one line") {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"doctor"}, {"--help"}, {"doctor", "--json"}}) {
    const descriptor full(::open("/dev/full", O_WRONLY | O_CLOEXEC));
    tool t(arguments, -2, full.get());
    CHECK(t.wait() == 1);
    CHECK_MESSAGE(t.one_line(), t.err());
  }
  tool t({"doctor"}, -2, tool::closed);
  CHECK(t.wait() == 1);
  CHECK_MESSAGE(t.one_line(), t.err());
}
