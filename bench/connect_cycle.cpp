// SPDX-License-Identifier: BSL-1.0
// What it costs to connect, echo one small message and close, divided by what the same costs over a Unix stream socket: connect, send, recv,
// close, against a server of one thread on epoll. Client and servers are processes of their own. All alternate in short slices, since hosts
// are noisy: only the ratios say something. Those of processor time, client's and server's together, are the steadier ones on a busy machine.
//
//   connect_cycle [ROUNDS [free|apart|together]]     where client and server run: as the system likes, on a processor each, on one
#include <ringbell/ringbell.hpp>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace {

using namespace ringbell;
using clock_type = std::chrono::steady_clock;

constexpr int cycles = 200;  // in a slice: some milliseconds
constexpr std::size_t payload = 32;

void expect(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  expect(::sched_setaffinity(0, sizeof set, &set) == 0, "cannot be bound to that processor");
}

double microseconds_of(clockid_t clock) {
  timespec now{};
  expect(::clock_gettime(clock, &now) == 0, "clock_gettime");
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

/// A process that serves until this object goes.
class forked_server {
public:
  forked_server(int cpu, const std::function<void()>& serve) : pid_(::fork()) {
    expect(pid_ >= 0, "fork");
    if (pid_ != 0) return;
    try {
      if (cpu >= 0) pin(cpu);
      serve();
    } catch (const std::exception& error) {
      std::fprintf(stderr, "server: %s\n", error.what());
    }
    ::_exit(1);
  }
  forked_server(const forked_server&) = delete;
  forked_server& operator=(const forked_server&) = delete;
  /// Processor time so far, in microseconds.
  double cpu_time() const {
    clockid_t clock;
    expect(::clock_getcpuclockid(pid_, &clock) == 0, "the server's clock");
    return microseconds_of(clock);
  }
  ~forked_server() {
    ::kill(pid_, SIGTERM);
    ::waitpid(pid_, nullptr, 0);
  }

private:
  pid_t pid_;
};

// -- the socket, as one writes it by hand --

sockaddr_un address_of(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  expect(path.size() < sizeof address.sun_path, "the path is too long");
  std::memcpy(address.sun_path, path.data(), path.size());
  return address;
}

/// Echoes whatever is there. False when the client has gone.
bool echo_on(int fd) {
  std::byte bytes[4096];
  for (;;) {
    const auto got = ::recv(fd, bytes, sizeof bytes, MSG_DONTWAIT);
    if (got < 0) return errno == EAGAIN;
    if (got == 0) return false;
    if (::send(fd, bytes, static_cast<std::size_t>(got), MSG_NOSIGNAL) != got) return false;
  }
}

void serve_socket(const std::string& path) {
  const int listener = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  const sockaddr_un address = address_of(path);
  expect(::bind(listener, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0 && ::listen(listener, 4096) == 0, "listening");
  const int set = ::epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [&](int fd) {
    epoll_event event{};
    event.events = EPOLLIN | EPOLLRDHUP | EPOLLET;
    event.data.fd = fd;
    expect(::epoll_ctl(set, EPOLL_CTL_ADD, fd, &event) == 0, "epoll_ctl");
  };
  watch(listener);
  for (;;) {
    epoll_event events[64];
    const int count = ::epoll_wait(set, events, 64, -1);
    for (int i = 0; i < count; ++i) {
      const int ready = events[i].data.fd;
      if (ready != listener) {
        if (!echo_on(ready)) ::close(ready);
        continue;
      }
      for (;;) {
        const int client = ::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (client < 0) break;
        watch(client);
      }
    }
  }
}

void cycle_socket(const sockaddr_un& address) {
  const std::byte message[payload] = {};
  std::byte echo[payload];
  const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  expect(::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0, "connecting to the socket");
  expect(::send(fd, message, payload, MSG_NOSIGNAL) == payload && ::recv(fd, echo, payload, MSG_WAITALL) == payload, "the socket's echo");
  ::close(fd);
}

// -- the channel --

task<> session(channel ch) {
  while (auto message = co_await ch.recv()) co_await ch.send(message->bytes());
}

task<> serve_channels(loop& lp, std::string path, sys::bell_set bells) {
  scope clients{lp};
  clients.on_error([](std::exception_ptr) {});
  listener_options options;
  options.bells = bells;
  auto listener = listener::bind(lp, path, options);
  for (;;) clients.spawn(session(co_await listener.accept()));
}

task<> cycle_channels(loop& lp, std::string path, sys::bell_set bells, int count) {
  const std::byte message[payload] = {};
  connect_options options;
  options.bells = bells;
  for (int i = 0; i < count; ++i) {
    channel ch = co_await connect(lp, path, options);
    co_await ch.send(std::span(message));
    const auto echo = co_await ch.recv();
    expect(echo && echo->size() == payload, "the channel's echo");
  }
}

// -- measuring --

/// Of one cycle, in microseconds.
struct cost {
  double time = 0;
  double cpu = 0;
};

template <class F>
cost cost_of(const forked_server& other, F f) {
  const auto cpu = [&] { return microseconds_of(CLOCK_PROCESS_CPUTIME_ID) + other.cpu_time(); };
  const double cpu_before = cpu();
  const auto begun = clock_type::now();
  f();
  return {std::chrono::duration<double, std::micro>(clock_type::now() - begun).count() / cycles, (cpu() - cpu_before) / cycles};
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

void wait_for_socket(const sockaddr_un& address) {
  for (int attempt = 0; attempt < 500; ++attempt) {
    const int fd = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected = ::connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0;
    ::close(fd);
    if (connected) return;
    ::usleep(10'000);
  }
  throw std::runtime_error("the socket's server does not come up");
}

void measure(const std::string& base, int rounds, const forked_server& plain, const forked_server& by_default,
             const forked_server& by_socket) {
  struct kind {
    const char* name;
    const forked_server& of;
    std::string path;
    sys::bell_set bells;
    std::vector<double> times;
    std::vector<double> ratios;
    std::vector<double> cpu_ratios;
  } kinds[] = {{"default bells", by_default, base + "-default", default_bells, {}, {}, {}},
               {"socket bells", by_socket, base + "-socket", sys::bell_bit(sys::bell_kind::socket), {}, {}, {}}};
  const sockaddr_un address = address_of(base + "-plain");
  wait_for_socket(address);
  std::vector<double> times;
  std::vector<double> cpu_times;
  loop lp;
  for (int round = -1; round < rounds; ++round) {  // the first one warms up
    const cost socket = cost_of(plain, [&] {
      for (int i = 0; i < cycles; ++i) cycle_socket(address);
    });
    if (round >= 0) {
      times.push_back(socket.time);
      cpu_times.push_back(socket.cpu);
    }
    for (kind& k : kinds) {
      const cost channel = cost_of(k.of, [&] { lp.run(cycle_channels(lp, k.path, k.bells, cycles)); });
      if (round < 0) continue;
      k.times.push_back(channel.time);
      k.ratios.push_back(channel.time / socket.time);
      k.cpu_ratios.push_back(channel.cpu / socket.cpu);
    }
  }
  std::printf("Unix stream socket: %.1f us a cycle, %.1f us of processor time (medians of %d slices of %d)\n", median(times),
              median(cpu_times), rounds, cycles);
  for (const kind& k : kinds) {
    const auto [least, most] = std::minmax_element(k.ratios.begin(), k.ratios.end());
    std::printf("channel, %s: %.1f us, %.2f times that (from %.2f to %.2f); %.2f times the processor time\n", k.name, median(k.times),
                median(k.ratios), *least, *most, median(k.cpu_ratios));
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 30;
  const std::string_view placement = argc > 2 ? argv[2] : "free";
  if (rounds < 1 || argc > 3 || (placement != "free" && placement != "apart" && placement != "together"))
    throw std::runtime_error("usage: connect_cycle [ROUNDS [free|apart|together]]");
  const int server_cpu = placement == "free" ? -1 : placement == "apart" ? 1 : 0;
  const std::string base = "/tmp/ringbell-bench-" + std::to_string(::getpid());
  {
    const forked_server plain(server_cpu, [&] { serve_socket(base + "-plain"); });
    const forked_server by_default(server_cpu, [&] {
      loop lp;
      lp.run(serve_channels(lp, base + "-default", default_bells));
    });
    const forked_server by_socket(server_cpu, [&] {
      loop lp;
      lp.run(serve_channels(lp, base + "-socket", sys::bell_bit(sys::bell_kind::socket)));
    });
    if (server_cpu >= 0) pin(0);
    measure(base, rounds, plain, by_default, by_socket);
  }
  for (const char* left : {"-plain", "-default", "-default.lock", "-socket", "-socket.lock"}) ::unlink((base + left).c_str());
  return 0;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
