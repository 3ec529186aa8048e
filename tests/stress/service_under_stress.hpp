// SPDX-License-Identifier: BSL-1.0
// What the stress tests of services have in common: a server in a process of its own, what it and
// its clients hold of the system, and a verdict.
#pragma once

#include <ringbell/loop/loop.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/server.hpp>

#include <malloc.h>
#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "support/patience.hpp"
#include "support/resources.hpp"
#include "worker_process.hpp"

namespace ringbell::test {

inline constexpr std::uint32_t echo_method = method_id("echo");  ///< replies with the request
inline constexpr std::uint32_t mirror_method =
    method_id("mirror");  ///< sends each part back; the reply is how many there were, as text
inline constexpr std::uint32_t work_method =
    method_id("work");  ///< echoes, after a microsecond of work
inline constexpr std::uint32_t held_method =
    method_id("held");  ///< replies with `held` of the server

/// What a process holds of the system, and of its own heap.
struct held {
  std::uint64_t clients = 0;  ///< of a server, with the one who asks
  resources system;
  std::uint64_t heap_bytes = 0;  ///< allocated and not freed

  static held now(std::size_t clients = 0) {
    fill_thread_cache();
    return {clients, resources::now(), ::mallinfo2().uordblks};
  }
  void print(const char* who) const {
    std::printf(
        "%s: %lld descriptors, %lld mappings, %lld KiB resident, %llu B of heap in use\n", who,
        static_cast<long long>(system.descriptors), static_cast<long long>(system.mappings),
        static_cast<long long>(system.resident_kib), static_cast<unsigned long long>(heap_bytes));
  }

private:
  // glibc counts what lies in a thread's cache of freed blocks as in use: up to seven of each size,
  // and now there are seven.
  static void fill_thread_cache() {
    constexpr std::size_t most_blocks = 7, largest = 1032, step = 16;
    for (std::size_t size = 24; size <= largest; size += step) {
      void* blocks[most_blocks];
      for (void*& block : blocks) block = std::malloc(size);
      for (void* block : blocks) std::free(block);
    }
  }
};

/// Counts what went wrong; the exit status in the end. Times and ratios of times go wrong in no
/// way: they are printed, and people judge them.
class verdict {
public:
  void require(bool holds, const std::string& what) {
    if (holds) return;
    failed_ = true;
    std::printf("FAILED: %s\n", what.c_str());
    std::fflush(stdout);
  }
  int exit_status() const noexcept { return failed_ ? 1 : 0; }

private:
  bool failed_ = false;
};

inline task<void> mirror_parts(request& r, std::uint64_t& parts) {
  for (;;) {
    std::optional<payload> part = co_await r.read();
    if (!part) co_return;
    co_await r.write(part->bytes());
    ++parts;
  }
}

inline task<reply> answer_stress(std::size_t clients, request r) {
  if (r.method() == held_method) {
    const held h = held::now(clients);
    co_return reply(std::as_bytes(std::span(&h, 1)));
  }
  if (r.method() == mirror_method) {
    std::uint64_t parts = 0;
    task<void> mirroring = mirror_parts(r, parts);
    co_await std::move(mirroring);
    co_return reply(std::to_string(parts));
  }
  if (r.method() == work_method)
    for (const auto until = loop::clock::now() + std::chrono::microseconds(1);
         loop::clock::now() < until;) {}
  co_return reply(r.bytes());
}

inline task<void> until_told(int fd) { co_await readable(fd); }

/// As many descriptors as this user may have.
inline void raise_descriptor_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// The processors that this process may run on.
inline std::vector<int> allowed_cpus() {
  cpu_set_t set;
  CPU_ZERO(&set);
  std::vector<int> all;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return all;
  for (int cpu = 0; cpu < CPU_SETSIZE; ++cpu)
    if (CPU_ISSET(static_cast<std::size_t>(cpu), &set)) all.push_back(cpu);
  return all;
}
inline void run_on(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0)
    throw std::runtime_error("cannot be bound to a processor");
}

/// The body of a worker process: serves at `path` until the other end of `end` says something, or
/// goes; then stops in order. `also` is started beside it, with the server.
inline void serve_stress(const bench::pipe_end& end, const std::string& path,
                         const server_options& options,
                         const std::function<task<void>(const server&)>& also = {}) {
  raise_descriptor_limit();
  loop lp;
  std::optional<server> s;
  s.emplace(
      lp, path, [&s](request r) { return answer_stress(s->clients(), std::move(r)); }, options);
  scope beside(lp);
  if (also) beside.spawn(also(*s));
  end.put(true);
  lp.run(until_told(end.fd()));
  lp.run(s->stop());
}

/// What the server at the other end of `c` holds.
inline task<held> held_by_server(client c) {
  const payload p = co_await c.call(held_method);
  held h;
  if (p.size() != sizeof h) throw std::runtime_error("no figures");
  std::memcpy(&h, p.bytes().data(), sizeof h);
  co_return h;
}

/// An argument of the program, else what is meant without.
inline std::uint64_t argument(int argc, char** argv, int i, std::uint64_t otherwise) {
  if (i >= argc) return otherwise;
  const std::string_view text = argv[i];
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value == 0)
    throw std::runtime_error("arguments are positive numbers");
  return value;
}

/// Of an atomic that several processes raise.
inline void raise_to(std::atomic<std::uint64_t>& most, std::uint64_t value) noexcept {
  std::uint64_t seen = most.load(std::memory_order_relaxed);
  while (seen < value && !most.compare_exchange_weak(seen, value, std::memory_order_relaxed)) {}
}

}  // namespace ringbell::test
