// SPDX-License-Identifier: BSL-1.0
// `ringbell serve`, `call` and `top`, as a shell sees them.
#include "support/tool_process.hpp"

#include <doctest/doctest.h>

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

using namespace ringbell::test;
using std::chrono::milliseconds;
using std::chrono::seconds;

namespace {

/// A service that listens already.
class service {
public:
  explicit service(const std::string& name, std::vector<std::string> more = {})
      : tool_(arguments(name, std::move(more)), -2, line_.in.get()) {
    line_.in.reset();
    greeting_ = read_line(line_.out.get());
  }
  const std::string& greeting() const { return greeting_; }
  tool& process() { return tool_; }

private:
  static std::vector<std::string> arguments(const std::string& name, std::vector<std::string> more) {
    std::vector<std::string> all{"serve", name};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  plumbing line_;
  tool tool_;
  std::string greeting_;
};

std::string bytes_of_any_value(std::size_t size) {
  std::string bytes(size, '\0');
  std::uint32_t x = 1;
  for (char& c : bytes) c = static_cast<char>((x = x * 1664525 + 1013904223) >> 24);
  return bytes;
}

void write_file(const std::string& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

/// What `top` says in JSON of the service.
std::string statistics(const std::string& name) {
  tool t({"top", name, "--once", "--json", "--interval", "10ms"});
  return t.wait() == 0 ? t.out() : std::string();
}
std::size_t count_of(const std::string& text, const std::string& what) {
  std::size_t n = 0;
  for (std::size_t at = text.find(what); at != text.npos; at = text.find(what, at + what.size())) ++n;
  return n;
}
/// Waits until so many calls are under way there.
bool under_way(const std::string& name, int calls) {
  return eventually([&] {
    const std::string all = statistics(name);
    const std::size_t total = all.find("\"total\":");
    return total != all.npos && all.find("\"in_flight\":" + std::to_string(calls) + ",", total) != all.npos;
  });
}

/// Runs the tool as another user, with its errors in a file that is there already; gives its exit status. Its file is open before, since the
/// other user may not reach it.
int run_as_nobody(std::vector<std::string> arguments, int err) {
  constexpr uid_t nobody = 65534;
  const descriptor program = reading(::getenv("RINGBELL_TOOL"));
  arguments.insert(arguments.begin(), "ringbell");
  std::vector<char*> argv;
  for (std::string& a : arguments) argv.push_back(a.data());
  argv.push_back(nullptr);
  return run_in_child([&] {
    ::dup2(err, STDERR_FILENO);
    ::dup2(::open("/dev/null", O_RDWR), STDOUT_FILENO);
    if (::setgid(nobody) != 0 || ::setuid(nobody) != 0) return 98;
    ::fexecve(program.get(), argv.data(), environ);
    return 99;
  });
}

/// The tool in a terminal of its own.
class tool_on_terminal {
public:
  explicit tool_on_terminal(std::vector<std::string> arguments) : master_(::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC)) {
    ::grantpt(master_.get());
    ::unlockpt(master_.get());
    const std::string slave = ::ptsname(master_.get());
    slave_ = ::open(slave.c_str(), O_RDWR | O_NOCTTY | O_CLOEXEC);
    const winsize size{12, 100, 0, 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
    ::tcgetattr(slave_, &before_);
    const char* const path = ::getenv("RINGBELL_TOOL");
    arguments.insert(arguments.begin(), path);
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    process_ = start_child([&] {
      ::setsid();
      ::ioctl(slave_, TIOCSCTTY, 0);
      for (int fd = 0; fd < 3; ++fd) ::dup2(slave_, fd);
      ::execv(path, argv.data());
      return 99;
    });
  }
  tool_on_terminal(const tool_on_terminal&) = delete;
  tool_on_terminal& operator=(const tool_on_terminal&) = delete;
  ~tool_on_terminal() {
    if (process_ > 0) {
      ::kill(process_, SIGKILL);
      wait_for(process_);
    }
    ::close(slave_);
  }

  void type(const std::string& keys) const { CHECK(::write(master_.get(), keys.data(), keys.size()) == static_cast<ssize_t>(keys.size())); }
  void send(int signal) const { ::kill(process_, signal); }
  void resize(unsigned short lines, unsigned short columns) const {
    const winsize size{lines, columns, 0, 0};
    ::ioctl(master_.get(), TIOCSWINSZ, &size);
  }
  /// Whether it writes `text`, from the last time that it was asked on.
  bool shows(const std::string& text, milliseconds limit = patience) {
    const auto deadline = clock_type::now() + limit;
    for (;;) {
      if (const std::size_t at = seen_.find(text); at != seen_.npos) {
        seen_.erase(0, at + text.size());
        return true;
      }
      if (clock_type::now() > deadline) return false;
      take(10);
    }
  }
  /// Whether it has written `text` within a moment.
  bool shows_now(const std::string& text) { return shows(text, milliseconds(50)); }
  /// Its exit status.
  int wait() {
    const auto deadline = clock_type::now() + patience;
    while (clock_type::now() < deadline) {
      int status = 0;
      take(10);
      if (::waitpid(process_, &status, WNOHANG) != process_) continue;
      process_ = 0;
      while (take(0)) {}
      return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
    }
    return timed_out;
  }
  bool has_settings_as_before() const {
    termios now{};
    ::tcgetattr(slave_, &now);
    return now.c_lflag == before_.c_lflag && now.c_iflag == before_.c_iflag;
  }

private:
  bool take(int milliseconds) {
    pollfd p{master_.get(), POLLIN, 0};
    if (::poll(&p, 1, milliseconds) <= 0) return false;
    char piece[65536];
    const ssize_t n = ::read(master_.get(), piece, sizeof piece);
    if (n <= 0) return false;
    seen_.append(piece, static_cast<std::size_t>(n));
    return true;
  }

  descriptor master_;
  int slave_ = -1;
  termios before_{};
  pid_t process_ = 0;
  std::string seen_;
};

constexpr const char* other_screen = "\x1b[?1049h";
constexpr const char* back_again = "\x1b[?25h\x1b[?1049l";

}  // namespace

TEST_CASE("serve says where it listens, and ends in order by SIGTERM and SIGINT") {
  const temporary_folder folder;
  for (const int signal : {SIGTERM, SIGINT}) {
    service s(folder / "s");
    CHECK(s.greeting().find(folder / "s") != std::string::npos);
    s.process().send(signal);
    CHECK(s.process().wait(seconds(5)) == 0);
    CHECK(s.process().err().empty());
    CHECK(std::filesystem::is_empty(folder.path()));
  }
}

TEST_CASE("call echo gives back each byte, with one thread and with several") {
  const temporary_folder folder;
  for (const char* threads : {"1", "3"}) {
    service s(folder / "s", {"--threads", threads});
    for (const std::size_t size : {0, 1, 5000, 3'000'000}) {
      CAPTURE(size);
      const std::string bytes = bytes_of_any_value(size);
      write_file(folder / "in", bytes);
      const descriptor in = reading(folder / "in");
      tool t({"call", folder / "s", "echo"}, in.get());
      CHECK(t.wait() == 0);
      CHECK(t.out() == bytes);
      CHECK(t.err().empty());
    }
  }
}

TEST_CASE("call --stream echo gives back more than a message can be, each byte") {
  const temporary_folder folder;
  service s(folder / "s");
  const std::string bytes = bytes_of_any_value((std::size_t{40} << 20) + 3);
  write_file(folder / "in", bytes);
  const descriptor in = reading(folder / "in");
  tool t({"call", folder / "s", "echo", "--stream"}, in.get());
  CHECK(t.wait() == 0);
  CHECK(t.out() == bytes);
}

TEST_CASE("call --stream sends each part as it comes") {
  const temporary_folder folder;
  service s(folder / "s");
  plumbing in, out;
  tool t({"call", folder / "s", "echo", "--stream"}, in.out.get(), out.in.get());
  out.in.reset();
  for (const std::string line : {"one", "two"}) {
    CHECK(::write(in.in.get(), (line + '\n').data(), 4) == 4);
    CHECK(read_line(out.out.get()) == line);
  }
  in.in.reset();
  CHECK(t.wait() == 0);
}

TEST_CASE("call --stream ends with the reply, though its input goes on") {
  const temporary_folder folder;
  service s(folder / "s");
  plumbing in;
  tool t({"call", folder / "s", "time", "--stream"}, in.out.get());
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
  tool t({"call", folder / "s", "echo", "--timeout", "200ms"});
  CHECK(t.wait(seconds(5)) == 3);
  CHECK_MESSAGE(t.one_line(), t.err());
}

TEST_CASE("call with a request that is too long names the limit") {
  const temporary_folder folder;
  service s(folder / "s");
  write_file(folder / "in", std::string(std::size_t{17} << 20, 'x'));
  const descriptor in = reading(folder / "in");
  tool t({"call", folder / "s", "echo"}, in.get());
  CHECK(t.wait() == 2);
  CHECK_MESSAGE(t.one_line(), t.err());
  CHECK(t.err().find("16.0 MiB") != std::string::npos);
  CHECK(t.out().empty());
}

TEST_CASE("call that gets no answer in time ends with exit code 6, and the service's handler is stopped") {
  const temporary_folder folder;
  service s(folder / "s");
  tool t({"call", folder / "s", "sleep", "--data", "1min", "--timeout", "100ms"});
  CHECK(t.wait(seconds(10)) == 6);
  CHECK_MESSAGE(t.one_line(), t.err());
  s.process().send(SIGTERM);
  CHECK(s.process().wait(seconds(3)) == 0);
  CHECK(s.process().err().empty());
}

TEST_CASE("a service that is stopped lets a call under way finish, and takes no other") {
  const temporary_folder folder;
  service s(folder / "s");
  tool t({"call", folder / "s", "sleep", "--data", "2s"});
  REQUIRE(under_way(folder / "s", 1));
  s.process().send(SIGTERM);
  CHECK(t.wait() == 0);
  CHECK(s.process().wait() == 0);
  CHECK(s.process().err().empty());
  CHECK_FALSE(std::filesystem::exists(folder / "s"));
}

TEST_CASE("a call that does not end within the grace is cut off, and serve says so") {
  const temporary_folder folder;
  service s(folder / "s", {"--grace", "50ms"});
  tool t({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 1));
  s.process().send(SIGTERM);
  CHECK(s.process().wait(seconds(5)) == 0);
  CHECK_MESSAGE(s.process().one_line(), s.process().err());
  const int code = t.wait(seconds(5));
  CHECK((code == 4 || code == 5));
  CHECK_MESSAGE(t.one_line(), t.err());
}

TEST_CASE("a second signal ends a service at once") {
  const temporary_folder folder;
  service s(folder / "s", {"--grace", "1min"});
  tool t({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 1));
  s.process().send(SIGTERM);
  // The name goes when the first one has been heard.
  CHECK(eventually([&] { return !std::filesystem::exists(folder / "s"); }));
  s.process().send(SIGTERM);
  CHECK(s.process().wait(seconds(5)) == 0);
}

TEST_CASE("call whose service is killed ends within a second with exit code 5") {
  const temporary_folder folder;
  service s(folder / "s");
  tool t({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 1));
  s.process().send(SIGKILL);
  CHECK(t.wait(seconds(1)) == 5);
  CHECK_MESSAGE(t.one_line(), t.err());
}

TEST_CASE("a service with as many clients as it takes refuses the next, with exit code 4") {
  const temporary_folder folder;
  service s(folder / "s", {"--max-clients", "1", "--threads", "2"});
  plumbing in, out;
  tool first({"call", folder / "s", "echo", "--stream"}, in.out.get(), out.in.get());
  CHECK(::write(in.in.get(), "x\n", 2) == 2);
  CHECK(read_line(out.out.get()) == "x");
  tool second({"call", folder / "s", "echo"});
  CHECK(second.wait() == 4);
  CHECK_MESSAGE(second.one_line(), second.err());
}

TEST_CASE("a reader that has had enough of a stream stops the service's handler") {
  const temporary_folder folder;
  service s(folder / "s");
  plumbing out;
  tool t({"call", folder / "s", "count", "--data", "1000000000000"}, -2, out.in.get());
  out.in.reset();
  CHECK(read_line(out.out.get()) == "1");
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

TEST_CASE("top --once shows each client, and not itself") {
  const temporary_folder folder;
  service s(folder / "s", {"--threads", "2"});
  tool one({"call", folder / "s", "sleep", "--data", "1min"});
  tool two({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 2));
  tool text({"top", folder / "s", "--once", "--interval", "20ms"});
  CHECK(text.wait() == 0);
  CHECK_MESSAGE(text.out().find("2 clients") != std::string::npos, text.out());
  CHECK(count_of(text.out(), "\n") == 5);
  const std::string all = statistics(folder / "s");
  CHECK(all.starts_with("{\"name\":\""));
  CHECK(all.ends_with("}\n"));
  CHECK(count_of(all, "{") == count_of(all, "}"));
  CHECK(count_of(all, "\"user\":" + std::to_string(::geteuid()) + ",\"command\":\"ringbell\"") == 2);
  for (const char* key : {"process",
                          "command",
                          "interval_ns",
                          "connected_ns",
                          "requests_per_second",
                          "errors_per_second",
                          "messages_in_per_second",
                          "bytes_in_per_second",
                          "messages_out_per_second",
                          "bytes_out_per_second",
                          "stalls_per_second",
                          "bells_per_second",
                          "bells_suppressed_per_second",
                          "parks_per_second",
                          "spins_paid_per_second",
                          "in_flight",
                          "bytes_in_flight",
                          "depth_to_server",
                          "depth_to_client",
                          "ring_to_server",
                          "ring_to_client",
                          "since_connected",
                          "requests",
                          "failed",
                          "refused",
                          "total",
                          "clients"})
    CHECK_MESSAGE(all.find('"' + std::string(key) + "\":") != std::string::npos, key);
}

TEST_CASE("top of what is no service, of nobody, and of a stopped one says so") {
  const temporary_folder folder;
  {
    echo_server echo(folder / "e");
    tool t({"top", folder / "e", "--once"});
    CHECK(t.wait() == 5);
    CHECK_MESSAGE(t.one_line(), t.err());
  }
  tool nobody({"top", folder / "s", "--once", "--timeout", "100ms"});
  CHECK(nobody.wait() == 3);
  CHECK_MESSAGE(nobody.one_line(), nobody.err());
  service s(folder / "s");
  tool silent({"top", folder / "s", "--once", "--timeout", "200ms", "--interval", "1s"});
  s.process().send(SIGSTOP);
  CHECK(silent.wait() == 6);
  CHECK_MESSAGE(silent.one_line(), silent.err());
}

TEST_CASE("top --once goes on when the service drops idle clients meanwhile") {
  const temporary_folder folder;
  service s(folder / "s", {"--idle-timeout", "20ms"});
  tool t({"top", folder / "s", "--once", "--interval", "300ms"});
  CHECK(t.wait() == 0);
  CHECK(t.err().empty());
}

TEST_CASE("top --once without a name lists the services of the user's folder that are alive") {
  const temporary_folder folder;
  ::setenv("XDG_RUNTIME_DIR", folder.path().c_str(), 1);
  {
    tool none({"top", "--once"});
    CHECK(none.wait() == 0);
    CHECK(none.out().starts_with("no service runs in " + folder.path()));
    service one("one"), two("two"), dead("dead");
    dead.process().send(SIGKILL);
    CHECK(dead.process().wait() == 1000 + SIGKILL);
    tool text({"top", "--once"});
    CHECK(text.wait() == 0);
    CHECK(text.out().starts_with("one "));
    CHECK(count_of(text.out(), "\n") == 2);
    CHECK(text.out().find("(ringbell)") != std::string::npos);
    tool as_json({"top", "--once", "--json"});
    CHECK(as_json.wait() == 0);
    CHECK(as_json.out().starts_with("{\"services\":[{\"name\":\"one\",\"path\":\""));
    CHECK(count_of(as_json.out(), "\"process\":") == 2);
  }
  ::unsetenv("XDG_RUNTIME_DIR");
}

TEST_CASE("other users may call where they are let in, but see no statistics") {
  if (::geteuid() != 0) {
    MESSAGE("skipped: only root can become another user");
    return;
  }
  const temporary_folder folder;
  REQUIRE(::chmod(folder.path().c_str(), 0755) == 0);
  const auto complaint_of = [&](const std::vector<std::string>& arguments, int expected) {
    const descriptor err = writing(folder / "err");
    CHECK(run_as_nobody(arguments, err.get()) == expected);
    return contents_of(folder / "err");
  };
  {
    service open(folder / "s", {"--all-users"});
    CHECK(complaint_of({"call", folder / "s", "echo", "--data", "x"}, 0).empty());
    const std::string refused = complaint_of({"top", folder / "s", "--once"}, 4);
    CHECK_MESSAGE(refused.find("own user and root") != std::string::npos, refused);
    CHECK(count_of(refused, "\n") == 1);
  }
  service closed(folder / "c");
  CHECK(count_of(complaint_of({"call", folder / "c", "echo", "--data", "x"}, 4), "\n") == 1);
}

TEST_CASE("top in a terminal shows the clients, follows keys and its size, and gives the terminal back") {
  const temporary_folder folder;
  service s(folder / "s");
  tool client({"call", folder / "s", "sleep", "--data", "1min"});
  REQUIRE(under_way(folder / "s", 1));
  tool_on_terminal top({"top", folder / "s", "--interval", "20ms"});
  CHECK(top.shows(other_screen));
  CHECK(top.shows("1 client  "));
  CHECK(top.shows("total"));
  top.type("f");
  CHECK(top.shows("\x1b[0;1mf:FLIGHT"));
  top.resize(20, 200);
  CHECK(top.shows("SPIN/s"));
  top.type("q");
  CHECK(top.shows(back_again));
  CHECK(top.wait() == 0);
  CHECK(top.has_settings_as_before());
}

TEST_CASE("top gives the terminal back when it is ended by a signal") {
  const temporary_folder folder;
  service s(folder / "s");
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGSEGV, SIGABRT}) {
    CAPTURE(signal);
    tool_on_terminal top({"top", folder / "s", "--interval", "20ms"});
    CHECK(top.shows(other_screen));
    CHECK(top.shows("total"));
    if (signal == SIGINT)
      top.type("\x03");
    else
      top.send(signal);
    CHECK(top.shows(back_again));
    CHECK(top.wait() == (signal == SIGINT ? 0 : signal == SIGSEGV || signal == SIGABRT ? 1000 + signal : 128 + signal));
    CHECK(top.has_settings_as_before());
  }
}

TEST_CASE("top gives the terminal back while it is stopped") {
  const temporary_folder folder;
  service s(folder / "s");
  tool_on_terminal top({"top", folder / "s", "--interval", "20ms"});
  CHECK(top.shows(other_screen));
  CHECK(top.shows("total"));
  top.type("\x1a");
  CHECK(top.shows(back_again));
  CHECK(eventually([&] { return top.has_settings_as_before(); }));
  // Until it has stopped, going on is nothing that it would notice.
  CHECK(eventually([&] {
    top.send(SIGCONT);
    return top.shows_now(other_screen);
  }));
  CHECK(top.shows("total"));
  top.type("q");
  CHECK(top.wait() == 0);
}

TEST_CASE("top whose service ends says so on the terminal that was there before") {
  const temporary_folder folder;
  for (const int signal : {SIGTERM, SIGKILL}) {
    CAPTURE(signal);
    service s(folder / "s");
    tool_on_terminal top({"top", folder / "s", "--interval", "20ms"});
    CHECK(top.shows(other_screen));
    CHECK(top.shows("total"));
    s.process().send(signal);
    CHECK(top.shows(back_again));
    CHECK(top.shows(signal == SIGTERM ? "has stopped" : "has gone"));
    CHECK(top.wait() == (signal == SIGTERM ? 3 : 5));
  }
}
