// SPDX-License-Identifier: BSL-1.0
// What a call of a service costs beside a bare round trip on a channel: the same two processes, each pinned to a processor, take turns in short slices, hot;
// only the ratios say something.
//
//   service_round_trip [ROUNDS]        needs two processors
#include <ringbell/ringbell.hpp>

#include <sched.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

using namespace ringbell;
using clock_type = std::chrono::steady_clock;

constexpr int round_trips = 5000;  // in a slice: some milliseconds
constexpr int together = 32;       // calls at the same time, in the last row

void pin(int cpu) {
  cpu_set_t set;
  CPU_ZERO(&set);
  CPU_SET(static_cast<std::size_t>(cpu), &set);
  if (::sched_setaffinity(0, sizeof set, &set) != 0) throw std::runtime_error("needs processors 0 and 1");
}

loop_options hot() {
  loop_options options;
  options.spin = spin_policy::always;
  return options;
}

task<reply> echo(request r) { co_return reply(r.bytes()); }

task<> answer(loop& lp, std::string path) {
  const server service(lp, path + ".service", echo);
  auto listener = listener::bind(lp, path);
  channel ch = co_await listener.accept();
  std::byte copy[1024];
  while (auto msg = co_await ch.recv()) {
    const std::size_t size = msg->size();
    if (size != 0) std::memcpy(copy, msg->data(), size);
    msg->release();  // before the reply, which then carries the news
    co_await ch.send(std::span<const std::byte>(copy, size));
  }
}

task<> call_many(const client& c, std::span<const std::byte> bytes, int calls) {
  for (int i = 0; i < calls; ++i) co_await c.call(1, bytes);
}

task<> call_together(loop& lp, const client& c, std::span<const std::byte> bytes) {
  scope callers(lp);
  for (int i = 0; i < together; ++i) callers.spawn(call_many(c, bytes, round_trips / together));
  co_await callers.join();
}

task<> exchange_many(channel& ch, std::span<const std::byte> bytes) {
  for (int i = 0; i < round_trips; ++i) {
    co_await ch.send(bytes);
    co_await ch.recv();
  }
}

struct row {
  const char* name;
  std::vector<double> ratios;
};

void print(row& r) {
  std::sort(r.ratios.begin(), r.ratios.end());
  std::printf("%-44s %.2f times (from %.2f to %.2f)\n", r.name, r.ratios[r.ratios.size() / 2], r.ratios.front(), r.ratios.back());
}

double nanoseconds_each(clock_type::time_point since) {
  return std::chrono::duration<double, std::nano>(clock_type::now() - since).count() / round_trips;
}

task<> measure(loop& lp, std::string path, int rounds) {
  channel ch = co_await connect(lp, path);
  const client c = co_await client::connect(lp, path + ".service");
  const std::vector<std::byte> payload(1024);
  const auto small = std::span(payload).first(64);
  row calls{"a call of 64 B / a round trip of 64 B", {}};
  row large{"a call of 1 KiB / a round trip of 1 KiB", {}};
  row many{"one of 32 calls at a time / a round trip of 64 B", {}};
  std::vector<double> bare;
  for (int round = -1; round < rounds; ++round) {  // the first one warms up
    double each[5];
    const auto time = [&](int which, clock_type::time_point begun) { each[which] = nanoseconds_each(begun); };
    auto begun = clock_type::now();
    co_await exchange_many(ch, small);
    time(0, begun), begun = clock_type::now();
    co_await call_many(c, small, round_trips);
    time(1, begun), begun = clock_type::now();
    co_await exchange_many(ch, payload);
    time(2, begun), begun = clock_type::now();
    co_await call_many(c, payload, round_trips);
    time(3, begun), begun = clock_type::now();
    co_await call_together(lp, c, small);
    time(4, begun);
    if (round < 0) continue;
    bare.push_back(each[0]);
    calls.ratios.push_back(each[1] / each[0]);
    large.ratios.push_back(each[3] / each[2]);
    many.ratios.push_back(each[4] / each[0]);
  }
  std::sort(bare.begin(), bare.end());
  std::printf("a round trip of 64 B on a channel: %.0f ns (median of %d slices of %d)\n", bare[bare.size() / 2], rounds, round_trips);
  for (row* r : {&calls, &large, &many}) print(*r);
}

}  // namespace

int main(int argc, char** argv) try {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  if (rounds < 1) throw std::runtime_error("expected a number of rounds, at least 1");
  const std::string path = "/tmp/ringbell-bench-" + std::to_string(::getpid());
  const pid_t server = ::fork();
  pin(server == 0 ? 1 : 0);
  loop lp(hot());
  if (server == 0) {
    lp.run(answer(lp, path));
    return 0;
  }
  lp.run(measure(lp, path, rounds));
  int status = 0;
  ::waitpid(server, &status, 0);
  return status == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
