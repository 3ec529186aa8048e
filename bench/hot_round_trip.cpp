// SPDX-License-Identifier: BSL-1.0
// How close a hot round trip comes to what the hardware can do: the time of a round trip through a channel, divided by that of bouncing one bare
// cache line between the same two processors. Both alternate in short slices, since hosts are noisy: only the ratios say something.
//
//   hot_round_trip [ROUNDS]        needs two processors
#include <ringbell/ringbell.hpp>

#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>
#include <algorithm>
#include <atomic>
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

constexpr int round_trips = 20000;  // in a slice: some milliseconds

/// Two lines, one for each direction, as far apart as a channel's.
struct bare_lines {
  alignas(line_bytes) std::atomic<std::uint64_t> there{0};
  alignas(line_bytes) std::atomic<std::uint64_t> back{0};
  std::uint64_t done = 0;
};

void bounce(const bare_lines& lines, std::atomic<std::uint64_t>& own, const std::atomic<std::uint64_t>& other, bool first) {
  for (std::uint64_t i = lines.done + 1; i <= lines.done + round_trips; ++i) {
    if (first) own.store(i, std::memory_order_release);
    while (other.load(std::memory_order_acquire) != i) {}
    if (!first) own.store(i, std::memory_order_release);
  }
}

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

/// An empty message asks for a slice of bare lines, any other is sent back.
task<> answer(loop& lp, std::string path, bare_lines& lines) {
  auto listener = listener::bind(lp, path);
  channel ch = co_await listener.accept();
  std::byte copy[1024];
  while (auto msg = co_await ch.recv()) {
    const std::size_t size = msg->size();
    if (size != 0) std::memcpy(copy, msg->data(), size);
    msg->release();  // before the reply, which then carries the news
    co_await ch.send(std::span<const std::byte>(copy, size));
    if (size == 0) bounce(lines, lines.back, lines.there, false);
  }
}

double nanoseconds_each(clock_type::time_point since) {
  return std::chrono::duration<double, std::nano>(clock_type::now() - since).count() / round_trips;
}

double median(std::vector<double> values) {
  std::nth_element(values.begin(), values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2), values.end());
  return values[values.size() / 2];
}

task<> measure(loop& lp, std::string path, bare_lines& lines, int rounds) {
  channel ch = co_await connect(lp, path);
  const std::size_t sizes[] = {8, 32, 64, 256, 1024};
  std::vector<double> bare;
  std::vector<std::vector<double>> ratios(std::size(sizes));
  const std::vector<std::byte> payload(1024);
  for (int round = -1; round < rounds; ++round) {  // the first one warms up
    co_await ch.send(std::span<const std::byte>());
    co_await ch.recv();
    auto begun = clock_type::now();
    bounce(lines, lines.there, lines.back, true);
    const double line = nanoseconds_each(begun);
    lines.done += round_trips;
    if (round >= 0) bare.push_back(line);
    for (std::size_t s = 0; s < std::size(sizes); ++s) {
      begun = clock_type::now();
      for (int i = 0; i < round_trips; ++i) {
        co_await ch.send(std::span(payload).first(sizes[s]));
        co_await ch.recv();
      }
      if (round >= 0) ratios[s].push_back(nanoseconds_each(begun) / line);
    }
  }
  std::printf("bare cache line: %.0f ns a round trip (median of %d slices of %d)\n", median(bare), rounds, round_trips);
  for (std::size_t s = 0; s < std::size(sizes); ++s) {
    const auto [least, most] = std::minmax_element(ratios[s].begin(), ratios[s].end());
    std::printf("%5zu B through a channel: %.2f times that (from %.2f to %.2f)\n", sizes[s], median(ratios[s]), *least, *most);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const int rounds = argc > 1 ? std::atoi(argv[1]) : 20;
  if (rounds < 1) throw std::runtime_error("expected a number of rounds, at least 1");
  void* memory = ::mmap(nullptr, sizeof(bare_lines), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) throw std::runtime_error("no memory");
  auto& lines = *new (memory) bare_lines;
  const std::string path = "/tmp/ringbell-bench-" + std::to_string(::getpid());
  const pid_t server = ::fork();
  pin(server == 0 ? 1 : 0);
  if (server == 0) {
    loop lp(hot());
    lp.run(answer(lp, path, lines));
    return 0;
  }
  {
    loop lp(hot());
    lp.run(measure(lp, path, lines, rounds));
  }
  int status = 0;
  ::waitpid(server, &status, 0);
  return status == 0 ? 0 : 1;
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
