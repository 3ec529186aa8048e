// SPDX-License-Identifier: BSL-1.0
#include "demo_session.hpp"

#include "system_calls.hpp"

#include <ringbell/connect.hpp>
#include <ringbell/sleep.hpp>

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>
#include <ctime>
#include <exception>
#include <filesystem>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ringbell::tool::demo {

namespace {

using clock = loop::clock;

// Round trips before those that count: the spin has adapted by then, and both processes have woken up.
constexpr int warm_up = 200;
// How many bytes go from one look at the clock to the next.
constexpr std::size_t bytes_per_clock_read = 64 << 10;

std::uint64_t nanoseconds(clock::duration d) {
  return d.count() < 0 ? 0 : static_cast<std::uint64_t>(std::chrono::duration_cast<std::chrono::nanoseconds>(d).count());
}

std::array<sys::handle, 2> socket_pair(int type) {
  int ends[2];
  if (::socketpair(AF_UNIX, type, 0, ends) != 0) throw_errno(errno, "a pair of sockets");
  for (const int end : ends) ::fcntl(end, F_SETFD, FD_CLOEXEC);
  return {sys::handle(ends[0]), sys::handle(ends[1])};
}

/// Signals that end a program wait while it has something on disk.
class signals_held {
public:
  signals_held() noexcept {
    sigset_t held;
    sigemptyset(&held);
    for (const int signal : {SIGINT, SIGTERM, SIGHUP}) sigaddset(&held, signal);
    ::sigprocmask(SIG_BLOCK, &held, &before_);
  }
  signals_held(const signals_held&) = delete;
  signals_held& operator=(const signals_held&) = delete;
  ~signals_held() { release(); }
  void release() const noexcept { ::sigprocmask(SIG_SETMASK, &before_, nullptr); }

private:
  sigset_t before_;
};

class temporary_folder {
public:
  temporary_folder() : path_((std::filesystem::temp_directory_path() / "ringbell-demo-XXXXXX").string()) {
    if (!::mkdtemp(path_.data())) throw_errno(errno, "a folder in " + std::filesystem::temp_directory_path().string());
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string operator/(const char* name) const { return path_ + '/' + name; }

private:
  std::string path_;
};

[[noreturn]] void run_server(const server_setup& setup, pid_t client) noexcept {
  // Whatever kills the client kills the server; unless it is dead already.
  end_with_parent();
  int code = exit_peer_died;
  if (::getppid() == client) try {
      code = serve(setup);
    } catch (...) {
      code = exit_failure;  // the client notices, and says so for both
    }
  ::_exit(code);
}

task<> warm_up_ring(channel& ch, std::size_t size) {
  const std::vector<std::byte> payload(size, std::byte{42});
  for (int i = 0; i < warm_up; ++i) {
    co_await ch.send(payload);
    co_await ch.recv();
  }
}

task<> ring_round_trips(channel& ch, std::size_t size, session::duration d, sample& s) {
  const std::vector<std::byte> payload(size, std::byte{42});
  clock::time_point last = clock::now();
  const clock::time_point begin = last;
  const clock::time_point end = begin + d;
  while (last < end) {
    co_await ch.send(payload);
    auto reply = co_await ch.recv();
    if (!reply) throw std::system_error(errc::peer_closed);
    reply->release();
    const clock::time_point now = clock::now();
    s.times.add(nanoseconds(now - last));
    last = now;
  }
  s.seconds = std::chrono::duration<double>(last - begin).count();
  s.messages = s.times.count() + warm_up;
  co_await ch.send(std::span<const std::byte>());
}

task<> ring_paced_round_trips(channel& ch, std::size_t size, session::duration period, session::duration d, sample& s) {
  const std::vector<std::byte> payload(size, std::byte{42});
  const clock::time_point begin = clock::now();
  for (clock::time_point due = begin + period; due <= begin + d; due += period) {
    co_await sleep_until(due);
    co_await ch.send(payload);
    if (!co_await ch.recv()) throw std::system_error(errc::peer_closed);
    s.times.add(nanoseconds(clock::now() - due));
  }
  s.seconds = std::chrono::duration<double>(clock::now() - begin).count();
  s.messages = s.times.count();
  co_await ch.send(std::span<const std::byte>());
}

task<> push(channel& ch, std::size_t size, std::size_t batch, session::duration d, sample& s) {
  std::vector<std::byte> payload(size);
  for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<std::byte>(i * 31);
  const std::size_t per_look = std::max<std::size_t>(1, bytes_per_clock_read / std::max<std::size_t>(1, size * batch));
  const clock::time_point begin = clock::now();
  do {
    for (std::size_t i = 0; i < per_look; ++i) {
      if (batch == 1) {
        co_await ch.send(payload);
        continue;
      }
      const sender::batch together(ch.sender());
      for (std::size_t k = 0; k < batch; ++k) co_await ch.send(payload);
    }
    s.messages += per_look * batch;
  } while (clock::now() < begin + d);
  co_await ch.send(std::span<const std::byte>());

  std::uint64_t sum = 0;
  auto answer = co_await ch.recv();
  if (!answer || answer->size() != sizeof sum) throw std::system_error(errc::bad_peer);
  std::memcpy(&sum, answer->data(), sizeof sum);
  if (sum != s.messages * sum_of(payload)) throw std::system_error(errc::bad_peer, "the demo's server received other bytes than were sent");
  s.seconds = std::chrono::duration<double>(clock::now() - begin).count();
  s.bytes = s.messages * size;
}

void socket_round_trip(int socket, std::span<std::byte> payload) {
  std::array<std::byte, largest_echo> reply;
  if (!send_whole(socket, payload) || ::recv(socket, reply.data(), reply.size(), 0) != static_cast<ssize_t>(payload.size()))
    throw std::system_error(errc::peer_closed);
}

void end_socket_phase(int socket) {
  const std::array<std::byte, socket_end> end{};
  if (!send_whole(socket, end)) throw std::system_error(errc::peer_closed);
}

}  // namespace

placement::placement() {
  const std::vector<int> usable = usable_processors();
  if (usable.empty()) return;
  usable_ = static_cast<unsigned>(usable.size());
  client_cpu_ = usable.front();
  server_cpu_ = usable.size() > 1 ? usable[1] : client_cpu_;
  const std::string first = core_of(client_cpu_);
  const auto other = std::find_if(usable.begin(), usable.end(), [&](int cpu) { return core_of(cpu) != first; });
  if (other != usable.end()) server_cpu_ = *other;
}

void placement::pin(int cpu) const noexcept {
  if (apart()) bind_to_processor(cpu);
}

void sample::add(const sample& other) {
  times.add(other.times);
  messages += other.messages;
  bytes += other.bytes;
  seconds += other.seconds;
  client = client + other.client;
  server = server + other.server;
}

session::session(const common_options& common) {
  const signals_held held;
  const temporary_folder folder;
  auto orders = socket_pair(SOCK_STREAM);
  auto sockets = socket_pair(message_socket_type());
  server_setup setup;
  setup.name = folder / "demo";
  setup.asio_name = folder / "asio";
  setup.common = common;
  setup.orders = std::move(orders[1]);
  setup.socket = std::move(sockets[1]);

  const pid_t self = ::getpid();
  server_ = ::fork();
  if (server_ < 0) throw_errno(errno, "starting the server process");
  if (server_ == 0) {
    orders[0].reset();
    sockets[0].reset();
    held.release();
    cpus_.pin_server();
    run_server(setup, self);
  }
  orders_ = std::move(orders[0]);
  socket_ = std::move(sockets[0]);
  cpus_.pin_client();
  // Sleeps end on time: both kinds of exchange are to be measured, not the kernel's gathering of timers.
  ask_for_exact_sleeps();
  try {
    loop_ = std::make_unique<loop>(common.for_loop());
    channel_ = loop_->run(connect(*loop_, setup.name, common.for_connect()));
    in_asio_ = asio_link::connect(setup.asio_name, common);
  } catch (...) {
    orders_.reset();
    ::kill(server_, SIGKILL);
    ::waitpid(server_, nullptr, 0);
    throw;
  }
}

session::~session() {
  // Between two phases it leaves by itself; within one it is killed.
  const phase leave = phase::leave;
  if (std::uncaught_exceptions() != 0 || !send_whole(orders_.get(), std::as_bytes(std::span(&leave, 1)))) ::kill(server_, SIGKILL);
  while (::waitpid(server_, nullptr, 0) < 0 && errno == EINTR) {}
}

void session::order(phase what) {
  if (!send_whole(orders_.get(), std::as_bytes(std::span(&what, 1)))) throw std::system_error(errc::peer_closed, "the demo's server");
}

template <class F>
sample session::measure(phase what, F f) {
  sample s;
  order(what);
  const usage before = usage_so_far(channel_, in_asio_.get());
  f(s);
  s.client = usage_so_far(channel_, in_asio_.get()) - before;
  if (!receive_whole(orders_.get(), std::as_writable_bytes(std::span(&s.server, 1))))
    throw std::system_error(errc::peer_closed, "the demo's server");
  return s;
}

sample session::ring_hot(std::size_t size, duration d) {
  return measure(phase::ring_echo, [&](sample& s) {
    loop_->run(warm_up_ring(channel_, size));
    loop_->run(ring_round_trips(channel_, size, d, s));
  });
}

sample session::asio_hot(std::size_t size, duration d) {
  return measure(phase::asio_echo, [&](sample& s) { in_asio_->round_trips(size, warm_up, d, s); });
}

sample session::ring_paced(std::size_t size, duration period, duration d) {
  return measure(phase::ring_echo, [&](sample& s) { loop_->run(ring_paced_round_trips(channel_, size, period, d, s)); });
}

sample session::ring_one_way(std::size_t size, std::size_t batch, duration d) {
  return measure(phase::ring_sink, [&](sample& s) { loop_->run(push(channel_, size, batch, d, s)); });
}

sample session::socket_hot(std::size_t size, duration d) {
  return measure(phase::socket_echo, [&](sample& s) {
    std::vector<std::byte> payload(size, std::byte{42});
    for (int i = 0; i < warm_up; ++i) socket_round_trip(socket_.get(), payload);
    clock::time_point last = clock::now();
    const clock::time_point begin = last;
    while (last < begin + d) {
      socket_round_trip(socket_.get(), payload);
      const clock::time_point now = clock::now();
      s.times.add(nanoseconds(now - last));
      last = now;
    }
    s.seconds = std::chrono::duration<double>(last - begin).count();
    s.messages = s.times.count() + warm_up;
    end_socket_phase(socket_.get());
  });
}

sample session::socket_paced(std::size_t size, duration period, duration d) {
  return measure(phase::socket_echo, [&](sample& s) {
    std::vector<std::byte> payload(size, std::byte{42});
    const clock::time_point begin = clock::now();
    for (clock::time_point due = begin + period; due <= begin + d; due += period) {
      sleep_until_blocking(due);
      socket_round_trip(socket_.get(), payload);
      s.times.add(nanoseconds(clock::now() - due));
    }
    s.seconds = std::chrono::duration<double>(clock::now() - begin).count();
    s.messages = s.times.count();
    end_socket_phase(socket_.get());
  });
}

}  // namespace ringbell::tool::demo
