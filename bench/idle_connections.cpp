// SPDX-License-Identifier: BSL-1.0
// Many clients at once: some processes connect to one server, all connections of all of them at the same time, each sends one small message and
// waits for its echo, then all stay, idle. Says how long it took, how many failed, and what memory an idle connection costs.
//
//   idle_connections [CLIENTS [PROCESSES [RING_BYTES]]]     bells are `socket`: one descriptor a connection on each side
#include <ringbell/ringbell.hpp>

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace ringbell;
using clock_type = std::chrono::steady_clock;
constexpr auto time_for_all = std::chrono::seconds(60);

void expect(bool holds, const char* what) {
  if (!holds) throw std::runtime_error(what);
}

/// The numbers, in KiB, of a file such as /proc/meminfo, by their names.
std::map<std::string, long> numbers_in(const std::string& file) {
  std::map<std::string, long> found;
  std::ifstream in(file);
  for (std::string line; std::getline(in, line);)
    if (const auto colon = line.find(':'); colon != std::string::npos) found[line.substr(0, colon)] = std::atol(line.c_str() + colon + 1);
  return found;
}

task<> session(channel ch) {
  while (auto message = co_await ch.recv()) co_await ch.send(message->bytes());
}

task<> serve(loop& lp, std::string path) {
  scope clients{lp};
  clients.on_error([](std::exception_ptr) {});
  listener_options options;
  options.bells = sys::bell_bit(sys::bell_kind::socket);
  auto listener = listener::bind(lp, path, options);
  for (;;) clients.spawn(session(co_await listener.accept()));
}

struct outcome {
  int served = 0;
  int failed = 0;
  double slowest_ms = 0;
  char first_error[100] = {};
};

task<> one_client(loop& lp, std::string path, std::uint64_t ring_bytes, outcome& out, std::vector<channel>& kept) {
  connect_options options;
  options.ring_bytes = options.peer_ring_bytes = ring_bytes;
  options.bells = sys::bell_bit(sys::bell_kind::socket);
  options.timeout = time_for_all;
  const auto begun = clock_type::now();
  try {
    channel ch = co_await connect(lp, path, options);
    const std::byte message[32] = {};
    co_await ch.send(std::span(message));
    {
      const auto echo = co_await ch.recv();
      expect(echo && echo->size() == sizeof message, "no echo");
    }
    out.slowest_ms = std::max(out.slowest_ms, std::chrono::duration<double, std::milli>(clock_type::now() - begun).count());
    ++out.served;
    kept.push_back(std::move(ch));
  } catch (const std::exception& error) {
    if (out.failed++ == 0) std::snprintf(out.first_error, sizeof out.first_error, "%s", error.what());
  }
}

task<> clients(loop& lp, std::string path, int count, std::uint64_t ring_bytes, outcome& out, std::vector<channel>& kept) {
  scope all{lp};
  for (int i = 0; i < count; ++i) all.spawn(one_client(lp, path, ring_bytes, out, kept));
  co_await all.join();
}

/// A process that runs `f` and then sleeps until it is told to end.
template <class F>
pid_t start(F f) {
  const pid_t pid = ::fork();
  expect(pid >= 0, "fork");
  if (pid != 0) return pid;
  try {
    f();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  ::_exit(0);
}

void print_delta(const char* what, long kib, int count) { std::printf("  %-28s %7.2f KiB\n", what, static_cast<double>(kib) / count); }

}  // namespace

int main(int argc, char** argv) try {
  const int count = argc > 1 ? std::atoi(argv[1]) : 4000;
  const int processes = argc > 2 ? std::atoi(argv[2]) : 4;
  const auto ring_bytes = static_cast<std::uint64_t>(argc > 3 ? std::atol(argv[3]) : 65536);
  if (count < 1 || processes < 1 || count < processes || argc > 4)
    throw std::runtime_error("usage: idle_connections [CLIENTS [PROCESSES [RING_BYTES]]]");
  const std::string path = "/tmp/ringbell-bench-" + std::to_string(::getpid());
  const pid_t server = start([&] {
    loop lp;
    lp.run(serve(lp, path));
  });
  std::vector<pid_t> all = {server};
  {
    outcome warm;
    loop lp;  // outlives the channels
    std::vector<channel> kept;
    lp.run(clients(lp, path, 1, ring_bytes, warm, kept));
    expect(warm.served == 1, warm.first_error);
  }
  int results[2];
  expect(::pipe(results) == 0, "pipe");
  const auto of_server = [&](const char* file) { return numbers_in("/proc/" + std::to_string(server) + file); };
  auto before = of_server("/smaps_rollup");
  auto status_before = of_server("/status");
  auto machine_before = numbers_in("/proc/meminfo");
  const auto begun = clock_type::now();
  for (int p = 0; p < processes; ++p) {
    const int share = count / processes + (p < count % processes ? 1 : 0);
    all.push_back(start([&] {
      outcome out;
      std::vector<channel> kept;
      loop lp;
      lp.run(clients(lp, path, share, ring_bytes, out, kept));
      expect(::write(results[1], &out, sizeof out) == sizeof out, "reporting");
      for (;;) ::pause();
    }));
  }
  outcome total;
  for (int p = 0; p < processes; ++p) {
    outcome one;
    expect(::read(results[0], &one, sizeof one) == sizeof one, "a client's report");
    total.served += one.served;
    total.failed += one.failed;
    total.slowest_ms = std::max(total.slowest_ms, one.slowest_ms);
    if (one.failed) std::memcpy(total.first_error, one.first_error, sizeof one.first_error);
  }
  const double seconds = std::chrono::duration<double>(clock_type::now() - begun).count();
  std::printf("%d clients in %d processes: %d served, %d failed, in %.2f s; the slowest took %.0f ms%s%s\n", count, processes, total.served,
              total.failed, seconds, total.slowest_ms, total.failed ? "; " : "", total.first_error);

  ::usleep(300'000);  // what the kernel frees late
  auto after = of_server("/smaps_rollup");
  auto status = of_server("/status");
  auto machine = numbers_in("/proc/meminfo");
  std::printf("for each idle connection, with rings of %llu bytes:\n", static_cast<unsigned long long>(ring_bytes));
  print_delta("server: Anonymous (heap)", after["Anonymous"] - before["Anonymous"], total.served);
  print_delta("server: Pss", after["Pss"] - before["Pss"], total.served);
  print_delta("server: Pss_Shmem", after["Pss_Shmem"] - before["Pss_Shmem"], total.served);
  print_delta("server: page tables", status["VmPTE"] - status_before["VmPTE"], total.served);
  for (const char* what : {"Slab", "Shmem", "AnonPages", "PageTables", "KernelStack", "Percpu"})
    print_delta((std::string("machine: ") + what).c_str(), machine[what] - machine_before[what], total.served);
  print_delta("machine: MemAvailable lost", machine_before["MemAvailable"] - machine["MemAvailable"], total.served);
  for (const pid_t pid : all) ::kill(pid, SIGKILL);
  for (const pid_t pid : all) ::waitpid(pid, nullptr, 0);
  for (const char* left : {"", ".lock"}) ::unlink((path + left).c_str());
  return total.failed == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
