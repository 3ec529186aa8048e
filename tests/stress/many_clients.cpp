// SPDX-License-Identifier: BSL-1.0
//
// Thousands of clients in four processes connect to one service, all at once; each calls once, then
// all are idle, then one at a time calls, a random one each time. It fails when a client cannot
// connect, a call fails, or an idle server does not sleep. It prints what the clients cost the
// server, and how much longer such a call takes than with ten clients.
//
//   many_clients [CLIENTS [IDLE_SECONDS [ROUNDS]]]     10000, 5 and 100 unless given
#include "service_under_stress.hpp"

#include <ringbell/coro/scope.hpp>

#include <array>
#include <deque>
#include <map>
#include <random>
#include <sstream>
#include <thread>

#include "process_figures.hpp"

using namespace ringbell;
using namespace ringbell::test;
using bench::process_figures;
using bench::worker_process;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t client_processes = 4;
constexpr std::size_t few = 10;
constexpr std::size_t request_bytes = 64;
constexpr std::size_t calls_per_slice = 25;
// Longer than anybody polls: both sides sleep when the call comes.
constexpr std::chrono::microseconds pause_between_calls{500};

// A server that does not sleep takes hundreds of times as much.
constexpr double most_idle_cpu = 0.01;
constexpr double most_idle_wakeups = 10;  // a second

// -- a process of clients: obeys --

enum class order_kind { connect, call_all, call_alone };
struct order {
  order_kind kind;
  std::size_t clients;
};
struct report {
  std::uint64_t done;
  std::uint64_t failed;
  double seconds;
  std::array<std::uint32_t, calls_per_slice> nanoseconds;  // of lone calls
};

class client_process {
public:
  explicit client_process(std::string path) : path_(std::move(path)) {
    // All come at once: the server must have shaken hands with all of them in this time.
    options_.connection.timeout = patience;
  }
  void obey(const bench::pipe_end& commander) {
    raise_descriptor_limit();
    commander.put(true);
    for (order o{}; commander.get(o);) {
      report r{};
      const auto begun = loop::clock::now();
      if (o.kind == order_kind::connect) {
        clients_.resize(o.clients);
        loop_.run(all(r, &client_process::connect));
      } else if (o.kind == order_kind::call_all) {
        loop_.run(all(r, &client_process::call));
      } else {
        call_alone(r);
      }
      r.seconds = std::chrono::duration<double>(loop::clock::now() - begun).count();
      commander.put(r);
    }
  }

private:
  task<void> connect(std::size_t i, report& r) {
    try {
      task<client> connecting = client::connect(loop_, path_, options_);
      clients_[i] = co_await std::move(connecting);
      ++r.done;
    } catch (const std::exception& error) {
      if (r.failed++ == 0) std::fprintf(stderr, "connecting: %s\n", error.what());
    }
  }
  task<void> call(std::size_t i, report& r) {
    try {
      std::array<std::byte, request_bytes> request{};
      const std::uint64_t number = ++number_;
      std::memcpy(request.data(), &number, sizeof number);
      const payload p = co_await clients_[i].call(echo_method, std::span<const std::byte>(request));
      const bool right = p.size() == request.size() &&
                         std::equal(request.begin(), request.end(), p.bytes().begin());
      ++(right ? r.done : r.failed);
    } catch (const std::exception& error) {
      if (r.failed++ == 0) std::fprintf(stderr, "calling: %s\n", error.what());
    }
  }
  task<void> all(report& r, task<void> (client_process::*what)(std::size_t, report&)) {
    scope doing(loop_);
    for (std::size_t i = 0; i < clients_.size(); ++i) doing.spawn((this->*what)(i, r));
    co_await doing.join();
  }
  void call_alone(report& r) {
    std::uniform_int_distribution<std::size_t> any(0, clients_.size() - 1);
    for (std::uint32_t& took : r.nanoseconds) {
      std::this_thread::sleep_for(pause_between_calls);
      const auto begun = loop::clock::now();
      loop_.run(call(any(random_), r));
      took =
          static_cast<std::uint32_t>(std::chrono::nanoseconds(loop::clock::now() - begun).count());
    }
  }

  std::string path_;
  client_options options_;
  loop loop_;
  std::vector<client> clients_;
  std::uint64_t number_ = 0;
  std::minstd_rand random_;
};

// -- what the machine says --

/// The kernel's memory, in KiB: everybody's.
struct kernel_memory {
  std::map<std::string, double> parts;   // of /proc/meminfo
  std::map<std::string, double> caches;  // of /proc/slabinfo, when it can be read

  static kernel_memory now() {
    kernel_memory m;
    std::ifstream info("/proc/meminfo");
    for (std::string line; std::getline(info, line);) {
      const std::string name = line.substr(0, line.find(':'));
      for (const char* wanted : {"Slab", "Percpu", "KernelStack", "PageTables", "Shmem"})
        if (name == wanted) m.parts[name] = std::atof(line.c_str() + name.size() + 1);
    }
    std::ifstream slabs("/proc/slabinfo");
    for (std::string line; std::getline(slabs, line);) {
      std::istringstream words(line);
      std::string name;
      double active = 0, count = 0, size = 0;
      if (words >> name >> active >> count >> size) m.caches[name] = active * size / 1024;
    }
    return m;
  }
};

double grown(const std::map<std::string, double>& before,
             const std::map<std::string, double>& after, const std::string& name) {
  const auto a = before.find(name), b = after.find(name);
  return b == after.end() ? 0 : b->second - (a == before.end() ? 0 : a->second);
}

std::int64_t sleeps_of(pid_t process) {
  std::ifstream status("/proc/" + std::to_string(process) + "/status");
  std::int64_t sleeps = 0;
  for (std::string word; status >> word;)
    if (word == "voluntary_ctxt_switches:") status >> sleeps;
  return sleeps;
}

double median(std::vector<std::uint32_t> values) {
  if (values.empty()) return 0;
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

// -- the steps --

struct scene {
  scene(const std::string& folder, const server_options& options)
      : server("server",
               [&](bench::pipe_end& end) { serve_stress(end, folder + "/many", options); }),
        server_of_few("server of few",
                      [&](bench::pipe_end& end) { serve_stress(end, folder + "/few", options); }),
        process_of_few("process of few",
                       [&](bench::pipe_end& end) { client_process(folder + "/few").obey(end); }) {
    for (std::size_t i = 0; i < client_processes; ++i)
      processes.emplace_back(
          "clients", [&](bench::pipe_end& end) { client_process(folder + "/many").obey(end); });
    server.get<bool>();
    server_of_few.get<bool>();
    process_of_few.get<bool>();
    for (const worker_process& p : processes) p.get<bool>();
  }
  report ask_all(const order& o) const {
    for (const worker_process& p : processes) p.put(o);
    report sum{};
    for (const worker_process& p : processes) {
      const report r = p.get<report>();
      sum.done += r.done;
      sum.failed += r.failed;
      sum.seconds = std::max(sum.seconds, r.seconds);
    }
    return sum;
  }

  worker_process server;
  worker_process server_of_few;
  worker_process process_of_few;
  std::deque<worker_process> processes;
};

void connect_all(verdict& v, const scene& s, std::size_t clients) {
  const report connected = s.ask_all({order_kind::connect, clients / client_processes});
  std::printf("%llu clients connected in %.2f s, %.0f us each; %llu failed\n",
              static_cast<unsigned long long>(connected.done), connected.seconds,
              connected.seconds * 1e6 / static_cast<double>(clients),
              static_cast<unsigned long long>(connected.failed));
  v.require(connected.failed == 0 && connected.done == clients, "a client could not connect");
  const report called = s.ask_all({order_kind::call_all, 0});
  std::printf("all called once in %.2f s; %llu failed\n", called.seconds,
              static_cast<unsigned long long>(called.failed));
  v.require(called.failed == 0 && called.done == clients, "a call failed");
}

// The server's side of a client. Its own processes' memory is counted by its share in what others
// map as well: each side maps the region of both, and writes one of them, so by the shares each
// pays for one. The kernel counts its objects for all processes together; both sides have the same
// (a socket, a file in memory until it is mapped, two mappings, a watch), so half of them are the
// server's.
void print_memory(std::size_t clients, const process_figures& before, const process_figures& after,
                  const kernel_memory& kernel_before, const kernel_memory& kernel_after) {
  const auto each = [&](double kib) { return kib / static_cast<double>(clients); };
  const auto kernel = [&](const char* name) {
    return each(grown(kernel_before.parts, kernel_after.parts, name));
  };
  const double shared = each(static_cast<double>(after.proportional_kib - before.proportional_kib));
  const double alone = each(static_cast<double>(after.private_kib - before.private_kib));
  const double tables = each(static_cast<double>(after.page_table_kib - before.page_table_kib));
  const double objects = (kernel("Slab") + kernel("Percpu") + kernel("KernelStack")) / 2;
  std::printf(
      "an idle client, at the server: %.1f KiB of memory (%.1f its own, the rest its share of the rings), %.1f KiB of page tables, %.1f KiB of kernel objects: "
      "%.1f KiB\n",
      shared, alone, tables, objects, shared + tables + objects);
  std::printf(
      "  of the machine, both sides: slab %.1f, per CPU %.1f, kernel stacks %.1f, page tables %.1f, memory in rings %.1f KiB\n",
      kernel("Slab"), kernel("Percpu"), kernel("KernelStack"), kernel("PageTables"),
      kernel("Shmem"));
  std::vector<std::pair<double, std::string>> caches;
  for (const auto& [name, kib] : kernel_after.caches)
    caches.emplace_back(each(grown(kernel_before.caches, kernel_after.caches, name)), name);
  std::sort(caches.rbegin(), caches.rend());
  for (std::size_t i = 0; i < std::min<std::size_t>(caches.size(), 12) && caches[i].first > 0.05;
       ++i)
    std::printf("    %-24s %6.2f KiB\n", caches[i].second.c_str(), caches[i].first);
  std::printf("  descriptors of the server: %.2f for each client\n",
              each(static_cast<double>(after.descriptors - before.descriptors)));
}

void judge_idleness(verdict& v, const scene& s, std::chrono::seconds window) {
  const double cpu_before = bench::cpu_seconds(s.server.process());
  const std::int64_t sleeps_before = sleeps_of(s.server.process());
  std::this_thread::sleep_for(window);
  const auto seconds = static_cast<double>(window.count());
  const double cpu = (bench::cpu_seconds(s.server.process()) - cpu_before) / seconds;
  const double wakeups =
      static_cast<double>(sleeps_of(s.server.process()) - sleeps_before) / seconds;
  std::printf("idle for %.0f s: %.4f %% of a processor, %.2f wake-ups a second\n", seconds,
              cpu * 100, wakeups);
  v.require(cpu < most_idle_cpu, "the idle server takes processor time");
  v.require(wakeups < most_idle_wakeups, "the idle server wakes up");
}

void print_latency(verdict& v, const scene& s, std::uint64_t rounds) {
  std::vector<std::uint32_t> among_few, among_many;
  const auto slice = [&](const worker_process& p, std::vector<std::uint32_t>& times) {
    p.put(order{order_kind::call_alone, 0});
    const report r = p.get<report>();
    v.require(r.failed == 0, "a call failed");
    times.insert(times.end(), r.nanoseconds.begin(), r.nanoseconds.end());
  };
  for (std::uint64_t round = 0; round < rounds; ++round) {
    slice(s.process_of_few, among_few);
    slice(s.processes[round % client_processes], among_many);
  }
  const double few_us = median(among_few) / 1000, many_us = median(among_many) / 1000;
  std::printf(
      "a random client calls, %zu calls each, p50: %.1f us; with %zu clients %.1f us; ratio %.2f\n",
      among_many.size(), many_us, few, few_us, many_us / few_us);
}

}  // namespace

int main(int argc, char** argv) try {
  const std::size_t clients = argument(argc, argv, 1, 10'000) / client_processes * client_processes;
  const std::chrono::seconds idle(argument(argc, argv, 2, 5));
  const std::uint64_t rounds = argument(argc, argv, 3, 100);
  const temporary_folder folder;
  // Nobody is called so often that polling would pay. Each side would find that out for each of its
  // connections, in vain polls: a matter of its own.
  ::setenv("RINGBELL_SPIN", "none", 0);
  server_options options;
  options.idle_timeout =
      10min;  // some clients have no call for longer than by default they may be idle
  const scene s(folder.path(), options);

  verdict v;
  const process_figures before = process_figures::of(s.server.process());
  const kernel_memory kernel_before = kernel_memory::now();
  connect_all(v, s, clients);
  judge_idleness(v, s, idle);
  const kernel_memory kernel_after = kernel_memory::now();
  print_memory(clients, before, process_figures::of(s.server.process()), kernel_before,
               kernel_after);

  s.process_of_few.put(order{order_kind::connect, few});
  v.require(s.process_of_few.get<report>().failed == 0, "one of the few clients could not connect");
  print_latency(v, s, rounds);
  return v.exit_status();
} catch (const std::exception& error) {
  std::fprintf(stderr, "many_clients: %s\n", error.what());
  return 1;
}
