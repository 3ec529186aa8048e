// SPDX-License-Identifier: BSL-1.0
#include "many_clients.hpp"

#include "common/histogram.hpp"
#include "temporary_folder.hpp"
#include "worker_process.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <deque>
#include <memory>
#include <random>
#include <thread>
#include <utility>

namespace ringbell::bench {

namespace {

using std::chrono::nanoseconds;
using std::chrono::steady_clock;

constexpr std::chrono::microseconds pause_between_lone_calls{500};
constexpr int least_rounds = 8;
// Longer ones would leave clients idle while others have their turn, for longer than a server may
// tolerate.
constexpr double longest_slice = 1;  // seconds

nanoseconds duration(double seconds) {
  return std::chrono::duration_cast<nanoseconds>(std::chrono::duration<double>(seconds));
}
double seconds_since(steady_clock::time_point begun) {
  return std::chrono::duration<double>(steady_clock::now() - begun).count();
}

// -- the client process: obeys one order after another --

enum class order_kind { connect, call_alone, call_together };

struct order {
  order_kind kind;
  std::size_t connections;  // to connect
  double seconds;           // to call
};

struct report {
  std::uint64_t done;  // connections, calls
  std::uint64_t failed;
  double seconds;
  std::uint64_t p50, p99, max;  // of all lone calls so far
};

class client_process {
public:
  explicit client_process(std::unique_ptr<client_side> clients) : clients_(std::move(clients)) {}

  void obey(const pipe_end& commander) {
    commander.put(true);  // ready
    order o{};
    while (commander.get(o)) commander.put(carry_out(o));
  }

private:
  report carry_out(const order& o) {
    report r{};
    const auto begun = steady_clock::now();
    if (o.kind == order_kind::connect) {
      r.failed = clients_->connect_all(o.connections);
      r.done = clients_->connections();
    } else if (o.kind == order_kind::call_alone) {
      call_alone(begun + duration(o.seconds), r);
    } else {
      const call_count calls = clients_->everybody_calls(begun + duration(o.seconds));
      r.done = calls.answered;
      r.failed = calls.failed;
    }
    r.seconds = seconds_since(begun);
    return r;
  }

  void call_alone(steady_clock::time_point until, report& r) {
    if (clients_->connections() == 0) return;
    std::uniform_int_distribution<std::size_t> any(0, clients_->connections() - 1);
    do {
      std::this_thread::sleep_for(pause_between_lone_calls);
      const std::size_t i = any(random_);
      const auto begun = steady_clock::now();
      const bool answered = clients_->one_call(i);
      const auto took = steady_clock::now() - begun;
      if (answered) times_.add(static_cast<std::uint64_t>(nanoseconds(took).count()));
      ++(answered ? r.done : r.failed);
    } while (steady_clock::now() < until);
    r.p50 = times_.quantile(0.5);
    r.p99 = times_.quantile(0.99);
    r.max = times_.max();
  }

  std::unique_ptr<client_side> clients_;
  std::minstd_rand random_;
  tool::histogram times_;
};

// -- the process that commands --

/// A design's two processes, and what has been found out about them.
class measured {
public:
  measured(const design& c, const std::string& path)
      : server_(c.name + ", server",
                [&](const pipe_end& end) { c.serve(path, [&] { end.put(true); }); }),
        client_(c.name + ", clients",
                [&](const pipe_end& end) { client_process(c.make_clients(path)).obey(end); }) {
    found_.design = c.name;
    server_.get<bool>();
    client_.get<bool>();
  }

  void connect(std::size_t clients) {
    found_.clients = clients;
    look(&process_cost::before);
    found_.kernel_before = kernel_figures::now();
    const report r = ask({order_kind::connect, clients, 0});
    found_.connect_failures = r.failed;
    found_.connect_seconds = r.seconds;
    ask({order_kind::call_together, 0, 0});
    found_.kernel_connected = kernel_figures::now();
    look(&process_cost::connected);
  }

  void call_alone(double seconds) {
    lone_calls& a = found_.alone;
    const report r =
        ask_and_charge({order_kind::call_alone, 0, seconds}, a.server_cpu, a.client_cpu);
    a.calls += r.done;
    a.failed += r.failed;
    a.p50 = r.p50;
    a.p99 = r.p99;
    a.max = r.max;
  }

  void call_together(double seconds) {
    concurrent_calls& t = found_.together;
    const report r =
        ask_and_charge({order_kind::call_together, 0, seconds}, t.server_cpu, t.client_cpu);
    t.calls.answered += r.done;
    t.calls.failed += r.failed;
    t.rates.push_back(static_cast<double>(r.done) / r.seconds);
  }

  outcome finish() {
    look(&process_cost::after_traffic);
    return found_;
  }

private:
  report ask(const order& o) const {
    client_.put(o);
    return client_.get<report>();
  }
  report ask_and_charge(const order& o, double& server, double& client) const {
    const double server_before = cpu_seconds(server_.process());
    const double client_before = cpu_seconds(client_.process());
    const report r = ask(o);
    server += cpu_seconds(server_.process()) - server_before;
    client += cpu_seconds(client_.process()) - client_before;
    return r;
  }
  void look(process_figures process_cost::* when) {
    found_.server.*when = process_figures::of(server_.process());
    found_.client.*when = process_figures::of(client_.process());
  }

  outcome found_;
  worker_process server_;
  worker_process client_;
};

}  // namespace

std::vector<outcome> measure(std::span<const design> designs, std::size_t clients, double seconds) {
  std::deque<measured> all;
  {
    const temporary_folder folder;  // for the sockets
    for (const design& c : designs) all.emplace_back(c, folder.new_name());
    // One after the other: the kernel's figures are everybody's.
    for (measured& m : all) m.connect(clients);
  }
  const int rounds =
      std::max(least_rounds, static_cast<int>(std::ceil(seconds / 2 / longest_slice)));
  const double slice = seconds / 2 / rounds;
  for (int round = 0; round < rounds; ++round) {
    for (measured& m : all) m.call_alone(slice);
    for (measured& m : all) m.call_together(slice);
  }
  std::vector<outcome> found;
  found.reserve(all.size());
  for (measured& m : all) found.push_back(m.finish());
  return found;
}

}  // namespace ringbell::bench
