// SPDX-License-Identifier: BSL-1.0
//
// One client process connects to a service, calls it, closes, and begins again. Afterwards both
// processes hold exactly what they held after the first thousand times: descriptors, mappings,
// memory.
//
//   connect_call_close [CYCLES]     100000 unless given; below 3000 memory is not judged, since it has not settled
#include "service_under_stress.hpp"

#include <ringbell/coro/sleep.hpp>

#include "support/pattern.hpp"

using namespace ringbell;
using namespace ringbell::test;

namespace {

constexpr std::uint64_t warm_up = 1000;
constexpr std::uint64_t least_to_judge = 3000;

// The allocator's arenas and the tables of the kernel's rings settle slowly, by single pages.
constexpr std::int64_t resident_tolerance_kib = 64;
// Vectors that grow for good (free slots of watches and timers) may do so once more after the
// warm-up.
constexpr std::uint64_t heap_tolerance = 4096;

struct both_sides {
  held client;
  held server;
};

task<void> cycle(loop& lp, const std::string& path, std::uint64_t number) {
  client c;
  task<client> connecting = client::connect(lp, path);
  c = co_await std::move(connecting);
  const std::size_t size = pick(number, 200);
  const std::vector<std::byte> request = patterned(size, number);
  const payload p = co_await c.call(echo_method, std::span<const std::byte>(request));
  if (p.size() != size || !matches(p.bytes(), number)) throw std::runtime_error("a wrong reply");
  c.close();
}

task<void> cycles(loop& lp, const std::string& path, std::uint64_t first, std::uint64_t end) {
  for (std::uint64_t i = first; i < end; ++i) {
    task<void> one = cycle(lp, path, i);
    co_await std::move(one);
  }
}

// Once the server has seen the others go.
task<both_sides> look(loop& lp, const std::string& path) {
  task<client> connecting = client::connect(lp, path);
  const client c = co_await std::move(connecting);
  for (int attempt = 0; attempt < 5000; ++attempt) {
    task<held> asking = held_by_server(c);
    const held server = co_await std::move(asking);
    if (server.clients == 1) co_return both_sides{held::now(), server};
    co_await yield();
  }
  throw std::runtime_error("the server does not see that clients have gone");
}

void compare(verdict& v, const char* who, const held& before, const held& after, bool memory) {
  const std::string of = std::string(who) + ": ";
  v.require(after.system.descriptors == before.system.descriptors, of + "descriptors are left");
  v.require(after.system.regions == before.system.regions, of + "regions are left mapped");
  if (!memory || memory_is_kept) return;
  v.require(after.system.mappings <= before.system.mappings + 1, of + "mappings are left");
  v.require(after.system.resident_kib <= before.system.resident_kib + resident_tolerance_kib,
            of + "resident memory has grown");
  v.require(after.heap_bytes <= before.heap_bytes + heap_tolerance, of + "the heap has grown");
}

}  // namespace

int main(int argc, char** argv) try {
  const std::uint64_t all = argument(argc, argv, 1, 100'000);
  const std::uint64_t first = std::min(warm_up, (all + 1) / 2);
  const temporary_folder folder;
  const std::string path = folder / "service";
  bench::worker_process server("server",
                               [&](bench::pipe_end& end) { serve_stress(end, path, {}); });
  server.get<bool>();

  verdict v;
  {
    loop lp;
    lp.run(cycles(lp, path, 0, first));
    const both_sides before = lp.run(look(lp, path));
    const auto begun = loop::clock::now();
    lp.run(cycles(lp, path, first, all));
    const std::chrono::duration<double, std::micro> took = loop::clock::now() - begun;
    const both_sides after = lp.run(look(lp, path));

    std::printf("%llu times connected, called and closed; %.1f us each\n",
                static_cast<unsigned long long>(all),
                took.count() / static_cast<double>(std::max<std::uint64_t>(all - first, 1)));
    std::printf("after %llu:\n", static_cast<unsigned long long>(first));
    before.client.print("  client");
    before.server.print("  server");
    std::printf("at the end:\n");
    after.client.print("  client");
    after.server.print("  server");
    compare(v, "client", before.client, after.client, all >= least_to_judge);
    compare(v, "server", before.server, after.server, all >= least_to_judge);
  }
  server.put(true);  // to end in order, and be found clean by whoever checks memory
  v.require(server.wait() == 0, "the server does not end well");
  return v.exit_status();
} catch (const std::exception& error) {
  std::fprintf(stderr, "connect_call_close: %s\n", error.what());
  return 1;
}
