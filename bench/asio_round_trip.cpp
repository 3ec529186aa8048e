// SPDX-License-Identifier: BSL-1.0
// What a round trip of 64 B costs inside asio::awaitable on an io_context, and to a native loop that an io_context drives: hot, beside the native loop
// and Asio's own Unix socket; and with both sides asleep before each message, beside that socket. All kinds take turns in short slices, since hosts are noisy: only the
// ratios of one round say something.
//
//   asio_round_trip [ROUNDS]        needs two processors
#include <ringbell/asio.hpp>
#include <ringbell/ringbell.hpp>

#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <ctime>
#include <deque>
#include <exception>
#include <filesystem>
#include <functional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace {

using namespace ringbell;
using clock_type = std::chrono::steady_clock;
using socket_type = net::local::stream_protocol::socket;
using std::chrono::microseconds;
using std::chrono::milliseconds;

constexpr std::size_t size = 64;
// A slice is so many batches of so many round trips, and its figure the median of theirs: who else runs here for a moment spoils a batch,
// not the slice.
constexpr int batches = 40;
constexpr int round_trips = 500;
constexpr int round_trips_on_socket = 5;
// Each channel has a pace of its own for as long as it lives, it seems by where its memory lies: so of each kind that is measured hot
// there are several, in turn.
constexpr std::size_t links = 4;
constexpr int parked_round_trips = 50;
constexpr microseconds gap{1000};
constexpr milliseconds idle{1000};
constexpr int most_rounds = 1000;
using payload = std::array<std::byte, size>;

// -- the servers: each in a process of its own, with one client --

task<> answer(loop& lp, std::string path) {
  auto listener = listener::bind(lp, path);
  channel ch = co_await listener.accept();
  payload copy;
  while (auto msg = co_await ch.recv()) {
    std::memcpy(copy.data(), msg->data(), size);
    msg->release();  // before the reply, which then carries the news
    co_await ch.send(std::span<const std::byte>(copy));
  }
}

net::awaitable<void> answer_in_asio(asio_listener& from, spin_policy spin) {
  asio_channel ch = co_await from.async_accept(net::use_awaitable);
  ch.spin(spin);
  payload copy;
  while (auto msg = co_await ch.recv()) {
    std::memcpy(copy.data(), msg->data(), size);
    msg->release();
    co_await ch.send(net::buffer(copy));
  }
}

net::awaitable<void> answer_with_tokens(asio_listener& from) {
  asio_channel ch = co_await from.async_accept(net::use_awaitable);
  ch.spin(spin_policy::adaptive);
  payload copy;
  for (;;) {
    net_error_code error;
    message msg = co_await ch.async_recv(net::redirect_error(net::use_awaitable, error));
    if (error) co_return;
    std::memcpy(copy.data(), msg.data(), size);
    msg.release();
    co_await ch.async_send(net::buffer(copy), net::use_awaitable);
  }
}

// As in Asio's own echo servers.
net::awaitable<void> answer_on_socket(socket_type& s) {
  payload copy;
  for (;;) {
    net_error_code error;
    const std::size_t n = co_await s.async_read_some(net::buffer(copy), net::redirect_error(net::use_awaitable, error));
    if (error) co_return;
    co_await net::async_write(s, net::buffer(copy, n), net::use_awaitable);
  }
}

const auto rethrow = [](const std::exception_ptr& e) {
  if (e) std::rethrow_exception(e);
};

void serve(const std::string& path) {
  loop_options options;
  options.spin = spin_policy::adaptive;
  loop lp(options);
  lp.run(answer(lp, path));
}

void serve_driven(const std::string& path) {
  loop_options options;
  options.spin = spin_policy::adaptive;
  loop lp(options);
  net::io_context io;
  const running_loop driving = run_in(lp, io);
  lp.spawn(answer(lp, path));
  io.run();
}

template <class Answer>
void serve_in_asio(const std::string& path, Answer answering) {
  net::io_context io;
  asio_listener from(io, path);
  net::co_spawn(io, answering(from), rethrow);
  io.run();
}

void serve_on_socket(int connected) {
  net::io_context io;
  socket_type s(io, net::local::stream_protocol(), connected);
  net::co_spawn(io, answer_on_socket(s), rethrow);
  io.run();
}

// -- the client --

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) throw std::runtime_error("needs processors 0 and 1");
}

double seconds_of(clockid_t clock) {
  timespec now{};
  ::clock_gettime(clock, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

/// A process that serves. Dies with this one; ends when its client hangs up.
class server {
public:
  explicit server(const std::function<void()>& body) {
    const pid_t client = ::getpid();
    pid_ = ::fork();
    if (pid_ < 0) throw std::runtime_error("cannot start a process");
    if (pid_ != 0) return;
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != client) ::_exit(1);
    int code = 1;
    try {
      pin(1);
      body();
      code = 0;
    } catch (const std::exception& error) {
      std::fprintf(stderr, "a server: %s\n", error.what());
    }
    ::_exit(code);
  }
  server(const server&) = delete;
  server& operator=(const server&) = delete;
  ~server() {
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
  }
  /// Its CPU time and ours.
  double cpu_of_both() const {
    clockid_t clock{};
    if (::clock_getcpuclockid(pid_, &clock) != 0) throw std::runtime_error("a server has died");
    return seconds_of(clock) + seconds_of(CLOCK_PROCESS_CPUTIME_ID);
  }

private:
  pid_t pid_ = -1;
};

double nanoseconds_since(clock_type::time_point begun) {
  return std::chrono::duration<double, std::nano>(clock_type::now() - begun).count();
}

double median(std::vector<double> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

/// The times of round trips, one after the other.
class stopwatch {
public:
  explicit stopwatch(int batch) : batch_(batch) {}
  void lap() {
    if (++done_ % batch_ != 0) return;
    const auto now = clock_type::now();
    each_.push_back(std::chrono::duration<double, std::nano>(now - last_).count() / batch_);
    last_ = now;
  }
  bool running() const noexcept { return each_.size() < batches; }
  double each() const { return median(each_); }

private:
  int batch_;
  int done_ = 0;
  clock_type::time_point last_ = clock_type::now();
  std::vector<double> each_;
};

task<double> hot(channel& ch) {
  const payload bytes{};
  stopwatch watch(round_trips);
  while (watch.running()) {
    co_await ch.send(std::span<const std::byte>(bytes));
    co_await ch.recv();
    watch.lap();
  }
  co_return watch.each();
}

net::awaitable<void> hot_in_asio(asio_channel& ch, double& each) {
  const payload bytes{};
  stopwatch watch(round_trips);
  while (watch.running()) {
    co_await ch.send(net::buffer(bytes));
    co_await ch.recv();
    watch.lap();
  }
  each = watch.each();
}

net::awaitable<void> hot_with_tokens(asio_channel& ch, double& each) {
  const payload bytes{};
  stopwatch watch(round_trips);
  while (watch.running()) {
    co_await ch.async_send(net::buffer(bytes), net::use_awaitable);
    co_await ch.async_recv(net::use_awaitable);
    watch.lap();
  }
  each = watch.each();
}

net::awaitable<void> exchange(asio_channel& ch) {
  const payload bytes{};
  co_await ch.send(net::buffer(bytes));
  if (!co_await ch.recv()) throw std::runtime_error("a server has ended");
}

net::awaitable<void> exchange(socket_type& s) {
  payload bytes{};
  co_await net::async_write(s, net::buffer(bytes), net::use_awaitable);
  for (std::size_t n = 0; n < size;) n += co_await s.async_read_some(net::buffer(bytes), net::use_awaitable);
}

net::awaitable<void> hot_on_a_socket(socket_type& s, double& each) {
  stopwatch watch(round_trips_on_socket);
  while (watch.running()) {
    co_await exchange(s);
    watch.lap();
  }
  each = watch.each();
}

/// Both sides have gone to sleep before each message. Measured from sending to receiving: the timer's lateness is not in it.
template <class Link>
net::awaitable<void> parked(Link& link, double& each) {
  net::steady_timer timer(co_await net::this_coro::executor);
  std::vector<double> times;
  times.reserve(parked_round_trips);
  for (int i = 0; i < parked_round_trips; ++i) {
    timer.expires_after(gap);
    co_await timer.async_wait(net::use_awaitable);
    const auto begun = clock_type::now();
    co_await exchange(link);
    times.push_back(nanoseconds_since(begun));
  }
  each = median(std::move(times));
}

/// Somebody waits at either end, and nothing comes: the CPU time of both processes meanwhile, in seconds.
net::awaitable<void> idle_for_a_while(asio_channel& ch, const server& peer, double& cpu) {
  net::steady_timer timer(co_await net::this_coro::executor);
  ch.async_recv([](net_error_code, message) {});
  timer.expires_after(idle / 10);  // asleep by then
  co_await timer.async_wait(net::use_awaitable);
  const double before = peer.cpu_of_both();
  timer.expires_after(idle);
  co_await timer.async_wait(net::use_awaitable);
  cpu = peer.cpu_of_both() - before;
  ch.cancel();
}

/// One line of the report: one figure for each round.
struct row {
  const char* name;
  std::vector<double> times{};  // nanoseconds a round trip
  std::vector<double> cpu{};    // of both processes, nanoseconds a round trip
};

std::vector<double> ratios(const row& a, const row& b) {
  std::vector<double> all;
  all.reserve(a.times.size());
  for (std::size_t i = 0; i < a.times.size(); ++i) all.push_back(a.times[i] / b.times[i]);
  return all;
}

void print(const row& r) {
  const auto [least, most] = std::minmax_element(r.times.begin(), r.times.end());
  std::printf("%-42s %9.0f ns (%.0f to %.0f)", r.name, median(r.times), *least, *most);
  if (!r.cpu.empty()) std::printf("; CPU %.1f us", median(r.cpu) / 1e3);
  std::printf("\n");
}

void print_ratio(const char* what, std::vector<double> all, const char* of_what) {
  const auto [least, most] = std::minmax_element(all.begin(), all.end());
  std::printf("%s: %.2f times %s (from %.2f to %.2f)\n", what, median(all), of_what, *least, *most);
}

class measurement {
public:
  measurement() : folder_(make_folder()) {}
  measurement(const measurement&) = delete;
  measurement& operator=(const measurement&) = delete;
  ~measurement() { remove_folder(); }

  void run(int rounds);
  void report() const;

private:
  static std::string make_folder() {
    std::string name = (std::filesystem::temp_directory_path() / "ringbell-bench-XXXXXX").string();
    if (!::mkdtemp(name.data())) throw std::runtime_error("cannot make a folder for the sockets");
    return name;
  }
  void remove_folder() const {
    std::error_code ignored;
    std::filesystem::remove_all(folder_, ignored);
  }
  std::string path(const std::string& name) const { return folder_ + '/' + name; }

  asio_channel connected(net::io_context& io, const std::string& name, spin_policy spin) const {
    asio_channel ch(io);
    async_connect(io, path(name), [&](net_error_code error, asio_channel made) {
      if (error) throw net_system_error(error, "connecting");
      ch = std::move(made);
    });
    io.run();
    io.restart();
    ch.spin(spin);
    return ch;
  }
  static std::string numbered(const char* name, std::size_t i) { return name + std::to_string(i); }
  static void finish(net::io_context& io, net::awaitable<void> what) {
    net::co_spawn(io, std::move(what), rethrow);
    io.run();
    io.restart();
  }
  template <class Link>
  static void parked_slice(net::io_context& io, Link& link, const server& peer, row& r) {
    double each = 0;
    const double before = peer.cpu_of_both();
    finish(io, parked(link, each));
    r.times.push_back(each);
    r.cpu.push_back((peer.cpu_of_both() - before) * 1e9 / parked_round_trips);
  }

  std::string folder_;
  row native_{"ringbell, native loop, hot"};
  row driven_{"ringbell, native loop; peer's in Asio, hot"};
  row asio_{"ringbell in Asio, recv()/send(), hot"};
  row tokens_{"ringbell in Asio, async_recv/send, hot"};
  row socket_{"Asio's Unix socket, back to back"};
  row parked_{"ringbell in Asio, spin none, each 1 ms"};
  row adaptive_{"ringbell in Asio, adaptive, each 1 ms"};
  row parked_socket_{"Asio's Unix socket, each 1 ms"};
  double idle_cpu_ = 0;
};

void measurement::run(int rounds) {
  int ends[2];
  if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) throw std::runtime_error("cannot make sockets");
  // Those that wait use no processor, so all live from here to the end.
  const auto adaptively = [](asio_listener& from) { return answer_in_asio(from, spin_policy::adaptive); };
  const auto without_spin = [](asio_listener& from) { return answer_in_asio(from, spin_policy::none); };
  std::deque<server> hot_servers;
  for (std::size_t i = 0; i < links; ++i) {
    hot_servers.emplace_back([&] { serve(path(numbered("native", i))); });
    hot_servers.emplace_back([&] { serve_driven(path(numbered("driven", i))); });
    hot_servers.emplace_back([&] { serve_in_asio(path(numbered("asio", i)), adaptively); });
    hot_servers.emplace_back([&] { serve_in_asio(path(numbered("tokens", i)), answer_with_tokens); });
  }
  const server parked_server([&] { serve_in_asio(path("parked"), without_spin); });
  const server adaptive_server([&] { serve_in_asio(path("adaptive"), adaptively); });
  const server socket_server([&] {
    ::close(ends[0]);
    serve_on_socket(ends[1]);
  });
  ::close(ends[1]);
  pin(0);

  loop_options options;
  options.spin = spin_policy::adaptive;
  loop lp(options);
  net::io_context io;
  std::vector<channel> native;
  std::vector<channel> driven;
  std::vector<asio_channel> in_asio;
  std::vector<asio_channel> with_tokens;
  for (std::size_t i = 0; i < links; ++i) {
    native.push_back(lp.run(connect(lp, path(numbered("native", i)))));
    driven.push_back(lp.run(connect(lp, path(numbered("driven", i)))));
    in_asio.push_back(connected(io, numbered("asio", i), spin_policy::adaptive));
    with_tokens.push_back(connected(io, numbered("tokens", i), spin_policy::adaptive));
  }
  asio_channel sleepy = connected(io, "parked", spin_policy::none);
  asio_channel adaptive = connected(io, "adaptive", spin_policy::adaptive);
  socket_type socket(io, net::local::stream_protocol(), ends[0]);
  remove_folder();  // whatever ends this program leaves nothing behind

  for (int round = 0; round < rounds; ++round) {
    const std::size_t turn = static_cast<std::size_t>(round) % links;
    double each = 0;
    native_.times.push_back(lp.run(hot(native[turn])));
    driven_.times.push_back(lp.run(hot(driven[turn])));
    finish(io, hot_in_asio(in_asio[turn], each));
    asio_.times.push_back(each);
    finish(io, hot_with_tokens(with_tokens[turn], each));
    tokens_.times.push_back(each);
    finish(io, hot_on_a_socket(socket, each));
    socket_.times.push_back(each);

    parked_slice(io, sleepy, parked_server, parked_);
    parked_slice(io, adaptive, adaptive_server, adaptive_);
    parked_slice(io, socket, socket_server, parked_socket_);
  }
  finish(io, idle_for_a_while(adaptive, adaptive_server, idle_cpu_));
}

void measurement::report() const {
  std::printf("Round trips of %zu B between two processes: medians of %zu slices (from the least to the greatest)\n", size,
              native_.times.size());
  for (const row* r : {&native_, &driven_, &asio_, &tokens_, &socket_, &parked_, &adaptive_, &parked_socket_}) print(*r);
  std::printf("idle for 1 s, a receive pending at either end: %.0f us of CPU, both processes together\n", idle_cpu_ * 1e6);
  std::printf("CPU: of both processes, per round trip; the client's timer takes a part of it\n\n");
  print_ratio("hot, to a native loop in an io_context", ratios(driven_, native_), "the native loop");
  print_ratio("hot, recv()/send()", ratios(asio_, native_), "the native loop");
  print_ratio("hot, async_recv/async_send", ratios(tokens_, native_), "the native loop");
  print_ratio("hot, Asio's Unix socket", ratios(socket_, asio_), "ringbell in Asio");
  print_ratio("asleep, spin none", ratios(parked_, parked_socket_), "Asio's Unix socket");
  print_ratio("asleep, adaptive", ratios(adaptive_, parked_socket_), "Asio's Unix socket");
}

constexpr const char* usage = "usage: asio_round_trip [ROUNDS]     from 1 to 1000, 20 unless given; each takes some 0.2 s\n";

/// 0 when it is no such number.
int rounds_of(std::string_view text) {
  int rounds = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), rounds);
  return error == std::errc() && end == text.data() + text.size() && rounds <= most_rounds ? std::max(rounds, 0) : 0;
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc == 2 && (std::string_view(argv[1]) == "--help" || std::string_view(argv[1]) == "-h")) {
    std::fputs(usage, stdout);
    return 0;
  }
  const int rounds = argc == 1 ? 20 : argc == 2 ? rounds_of(argv[1]) : 0;
  if (rounds == 0) {
    std::fputs(usage, stderr);
    return 2;
  }
  ::alarm(30 + static_cast<unsigned>(rounds) * 5);  // should a wake-up be lost
  measurement m;
  m.run(rounds);
  m.report();
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "asio_round_trip: %s\n", error.what());
  return 1;
}
