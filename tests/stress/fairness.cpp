// SPDX-License-Identifier: BSL-1.0
//
// Clients that call now and then, beside one that floods the server with calls. Phases with and
// without the flood alternate. It fails when one of the former gets no reply beside the flood, or
// when the flood gets none; it prints how much longer they wait.
//
//   fairness [ROUNDS [IN_FLIGHT]]     20 rounds and 1000 calls of the flooder at a time unless given
//
// Two processors, so that the server's fairness is measured and not the system's: the server has
// one, all clients are on the other. Server and polite clients run in a real-time class (when this
// user may; else the flooder goes to that of idle processes): so nobody else's process comes
// between, and the flooder, which takes all that is left, gives way at once when a polite client
// wakes up. Without a flood it runs on, calling nobody, and an idle process does so beside the
// server: else the processors would sleep between two calls, and waking them would make the calm
// phases the slower ones.
#include "service_under_stress.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/service/detail/frame.hpp>

#include <sched.h>

#include <array>
#include <random>
#include <thread>

#include "common/histogram.hpp"
#include "process_figures.hpp"
#include "support/child_process.hpp"

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t polite_clients = 8;
constexpr std::chrono::microseconds polite_pause{2000};  // on average
// The system lets nobody keep a processor in a real-time class for much longer.
constexpr std::chrono::milliseconds phase{500};
constexpr std::chrono::milliseconds settling{50};
constexpr std::size_t request_bytes = 64;

struct board {
  std::atomic<bool> flood{false};
  std::atomic<std::uint64_t> flooded{0};  // calls answered
};

struct report {
  std::uint64_t p50, p99;        // nanoseconds
  std::uint64_t fewest_replies;  // of the clients'
};

void run_only_when_nobody_else_does() {
  const sched_param none{};
  if (::sched_setscheduler(0, SCHED_IDLE, &none) != 0)
    throw std::runtime_error("cannot join the idle class");
}

task<void> call_politely(const client& c, unsigned seed, loop::clock::time_point until,
                         tool::histogram& times, std::uint64_t& replies) {
  std::minstd_rand random(seed + 1);
  const std::vector<std::byte> request(request_bytes);
  while (loop::clock::now() < until) {
    co_await sleep_for(
        std::chrono::microseconds(random() % (2 * static_cast<unsigned>(polite_pause.count()))));
    const auto begun = loop::clock::now();
    const payload p = co_await c.call(echo_method, std::span<const std::byte>(request));
    times.add(
        static_cast<std::uint64_t>(std::chrono::nanoseconds(loop::clock::now() - begun).count()));
    if (p.size() != request_bytes) throw std::runtime_error("a wrong reply");
    ++replies;
  }
}

task<void> connect_some(loop& lp, const std::string& path, std::vector<client>& some) {
  for (client& c : some) {
    task<client> connecting = client::connect(lp, path);
    c = co_await std::move(connecting);
  }
}

task<void> call_for_a_phase(loop& lp, const std::vector<client>& all, unsigned round,
                            tool::histogram& times, std::vector<std::uint64_t>& replies) {
  scope calling(lp);
  const auto until = loop::clock::now() + phase;
  for (std::size_t i = 0; i < all.size(); ++i)
    calling.spawn(
        call_politely(all[i], round * 100 + static_cast<unsigned>(i), until, times, replies[i]));
  co_await calling.join();
}

void be_polite(const bench::pipe_end& commander, const std::string& path) {
  loop lp;
  std::vector<client> all(polite_clients);
  lp.run(connect_some(lp, path, all));
  commander.put(true);
  for (unsigned round = 0; commander.get(round);) {
    tool::histogram times;
    std::vector<std::uint64_t> replies(all.size());
    lp.run(call_for_a_phase(lp, all, round, times, replies));
    commander.put(report{times.quantile(0.5), times.quantile(0.99),
                         *std::min_element(replies.begin(), replies.end())});
  }
}

// Speaks the protocol by itself, with a fraction of what a client does for each call: so the server
// is what has no time left.
task<void> keep_calling(loop& lp, std::string path, std::size_t in_flight,
                        const bench::pipe_end& commander, board& b) {
  connect_options options;
  options.bells = sys::bell_bit(sys::bell_kind::socket);
  task<channel> connecting = ringbell::connect(lp, std::move(path), options);
  channel ch = co_await std::move(connecting);
  service_frame::header head;
  head.method = work_method;  // so that the server has more to do than the flooder
  std::array<std::byte, service_frame::max_header_size + request_bytes> frame{};
  std::size_t under_way = 0;
  commander.put(true);
  for (;;) {
    while (!b.flood.load(std::memory_order_relaxed)) {
    }  // the whole process: it only keeps the processor awake
    for (; under_way < in_flight; ++under_way) {
      ++head.call;
      const service_frame::encoded_header encoded = service_frame::encode(head);
      std::copy_n(encoded.storage.begin(), encoded.size, frame.begin());
      co_await ch.send(std::span<const std::byte>(frame).first(encoded.size + request_bytes));
    }
    for (; under_way > in_flight / 2; --under_way) {
      const std::optional<message> m = co_await ch.recv();
      if (!m) throw std::runtime_error("the server has gone");
      b.flooded.fetch_add(1, std::memory_order_relaxed);
    }
  }
}

void flood(const bench::pipe_end& commander, const std::string& path, std::size_t in_flight,
           bool real_time, board& b) {
  if (real_time) {
    if (::nice(-15) == -1) std::fprintf(stderr, "the flooder shares its processor with others\n");
  } else {
    run_only_when_nobody_else_does();
  }
  loop_options awake;
  awake.spin = spin_policy::always;
  loop lp(awake);
  lp.run(keep_calling(lp, path, in_flight, commander, b));
}

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

struct phases {
  std::vector<double> p50, p99;
  void add(const report& r) {
    p50.push_back(static_cast<double>(r.p50) / 1000);
    p99.push_back(static_cast<double>(r.p99) / 1000);
  }
};

int measure(const std::vector<int>& cpus, std::uint64_t rounds, std::size_t in_flight) {
  // Who polls keeps the clients' processor from the flooder.
  ::setenv("RINGBELL_SPIN", "none", 0);
  const temporary_folder folder;
  const std::string path = folder / "service";
  const shared_object<board> b;
  const bench::worker_process server("server", [&](bench::pipe_end& end) {
    run_on(cpus[0]);
    serve_stress(end, path, {});
  });
  server.get<bool>();
  const sched_param first{.sched_priority = 1};
  const bool real_time = ::sched_setscheduler(server.process(), SCHED_FIFO, &first) == 0;
  const bench::worker_process polite("polite clients", [&](bench::pipe_end& end) {
    run_on(cpus[1]);
    if (real_time) ::sched_setscheduler(0, SCHED_FIFO, &first);
    be_polite(end, path);
  });
  polite.get<bool>();
  const bench::worker_process flooder("flooder", [&](bench::pipe_end& end) {
    run_on(cpus[1]);
    flood(end, path, in_flight, real_time, *b);
  });
  flooder.get<bool>();
  const bench::worker_process no_sleep("burner", [&](bench::pipe_end&) {
    run_on(cpus[0]);
    run_only_when_nobody_else_does();
    for (volatile bool forever = true; forever;) {}
  });

  phases calm, flooded;
  std::vector<double> ratios_50, ratios_99;
  double server_cpu = 0;
  std::uint64_t flood_calls = 0, fewest_replies = 0;
  for (unsigned round = 0; round < rounds; ++round) {
    for (const bool flooding : {false, true}) {
      b->flood = flooding;
      std::this_thread::sleep_for(settling);
      const double cpu_before = bench::cpu_seconds(server.process());
      const std::uint64_t before = b->flooded;
      polite.put(round);
      const report r = polite.get<report>();
      (flooding ? flooded : calm).add(r);
      if (!flooding) continue;
      flood_calls += b->flooded - before;
      fewest_replies += r.fewest_replies;
      server_cpu += bench::cpu_seconds(server.process()) - cpu_before;
    }
    ratios_50.push_back(flooded.p50.back() / calm.p50.back());
    ratios_99.push_back(flooded.p99.back() / calm.p99.back());
  }
  const double seconds = static_cast<double>(rounds) * std::chrono::duration<double>(phase).count();
  std::printf("%s\n", real_time ? "in a real-time class"
                                : "in no real-time class: others may come between");
  std::printf("%zu polite clients, medians of %llu rounds: p50 %.1f us, p99 %.1f us\n",
              polite_clients, static_cast<unsigned long long>(rounds), median(calm.p50),
              median(calm.p99));
  std::printf(
      "beside a flood of %.0f calls a second, which keeps the server busy for %.0f %% of the time: p50 %.1f us, p99 %.1f us\n",
      static_cast<double>(flood_calls) / seconds, 100 * server_cpu / seconds, median(flooded.p50),
      median(flooded.p99));
  std::printf(
      "ratios, medians of the rounds': p50 %.2f, p99 %.2f; at least %llu replies to each polite client beside the flood\n",
      median(ratios_50), median(ratios_99), static_cast<unsigned long long>(fewest_replies));
  verdict v;
  v.require(fewest_replies != 0, "a polite client got no reply beside the flood");
  v.require(flood_calls != 0, "the flood got no reply");
  return v.exit_status();
}

}  // namespace

int main(int argc, char** argv) try {
  const std::vector<int> cpus = allowed_cpus();
  if (cpus.size() < 2) {
    std::printf("skipped: two processors are needed\n");
    return 77;
  }
  return measure(cpus, argument(argc, argv, 1, 20), argument(argc, argv, 2, 1000));
} catch (const std::exception& error) {
  std::fprintf(stderr, "fairness: %s\n", error.what());
  return 1;
}
