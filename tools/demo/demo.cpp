// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "common/json.hpp"
#include "common/system_facts.hpp"
#include "demo/session.hpp"
#include "system/standard_streams.hpp"

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>
#include <vector>

namespace ringbell::tool {

namespace {

using demo::sample;
using demo::session;
using std::chrono::milliseconds;

// Large enough for a claim of 1 MiB, so that no message of the demo goes in fragments.
constexpr std::uint64_t usual_demo_ring = std::uint64_t{4} << 20;
constexpr std::size_t small = 64;
constexpr std::size_t smaller = 32;
constexpr milliseconds period{1};

/// One line of the report: a kind of exchange, measured once in each round.
class row {
public:
  row(std::string name, const char* key) : name_(std::move(name)), key_(key) {}

  void add(const sample& s) {
    medians_.push_back(s.times.quantile(0.5));
    rates_.push_back(s.seconds > 0 ? static_cast<double>(s.messages) / s.seconds : 0);
    all_.add(s);
  }

  const std::string& name() const noexcept { return name_; }
  const char* key() const noexcept { return key_; }
  const sample& all() const noexcept { return all_; }
  const std::vector<std::uint64_t>& medians() const noexcept { return medians_; }
  /// The median over the rounds of their medians. The other quantiles are of all that was measured:
  /// they need the many.
  std::uint64_t p50() const { return median_of(medians_); }
  double messages_per_second() const { return median_of(rates_); }
  double bytes_per_second() const {
    return messages_per_second() * static_cast<double>(all_.bytes) /
           static_cast<double>(std::max<std::uint64_t>(1, all_.messages));
  }
  double per_message(std::uint64_t n) const {
    return static_cast<double>(n) / static_cast<double>(std::max<std::uint64_t>(1, all_.messages));
  }

  template <class T>
  static T median_of(std::vector<T> values) {
    if (values.empty()) return T{};
    const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
    std::nth_element(values.begin(), middle, values.end());
    return *middle;
  }

private:
  std::string name_;
  const char* key_;
  sample all_;
  std::vector<std::uint64_t> medians_;
  std::vector<double> rates_;
};

/// All that is measured. The kinds take turns within each round, so that a machine that becomes
/// slower or faster does so for all.
class measurement {
public:
  void run(session& s, bool quick) {
    const int rounds = quick ? 3 : 8;
    const milliseconds slice{quick ? 50 : 70};
    const milliseconds paced_slice{quick ? 100 : 200};
    for (int i = 0; i < rounds; ++i) {
      show_progress(i + 1, rounds);
      ring_hot.add(s.ring_hot(small, slice));
      if (s.has_asio()) asio_hot.add(s.asio_hot(small, slice));
      socket_hot.add(s.socket_hot(small, slice));
      ring_hot_smaller.add(s.ring_hot(smaller, slice / 2));
      ring_paced.add(s.ring_paced(small, period, paced_slice));
      socket_paced.add(s.socket_paced(small, period, paced_slice));
      one_way.add(s.ring_one_way(small, 1, slice));
      one_way_batched.add(s.ring_one_way(small, 32, slice));
      one_way_64k.add(s.ring_one_way(64 << 10, 1, slice));
      one_way_1m.add(s.ring_one_way(1 << 20, 1, slice));
    }
    hide_progress();
  }

  bool has_asio() const noexcept { return !asio_hot.medians().empty(); }
  std::vector<const row*> round_trips() const {
    std::vector<const row*> all{&ring_hot, &ring_hot_smaller, &socket_hot, &ring_paced,
                                &socket_paced};
    if (has_asio()) all.insert(all.begin() + 1, &asio_hot);
    return all;
  }
  std::vector<const row*> one_way_rows() const {
    return {&one_way, &one_way_batched, &one_way_64k, &one_way_1m};
  }

  /// How many times as long as ringbell, hot, something else takes: in each round.
  std::vector<double> ratios(const row& of) const {
    std::vector<double> all;
    all.reserve(ring_hot.medians().size());
    for (std::size_t i = 0; i < ring_hot.medians().size(); ++i)
      all.push_back(static_cast<double>(of.medians()[i]) /
                    static_cast<double>(std::max<std::uint64_t>(1, ring_hot.medians()[i])));
    return all;
  }

  row ring_hot{"ringbell, hot, 64 B", "ringbell_hot_64"};
  row asio_hot{"ringbell in Asio, hot, 64 B", "asio_hot_64"};
  row ring_hot_smaller{"ringbell, hot, 32 B", "ringbell_hot_32"};
  row socket_hot{std::string(demo::link_name) + ", hot, 64 B", "socket_hot_64"};
  row ring_paced{"ringbell, 1 kHz, 64 B", "ringbell_1khz_64"};
  row socket_paced{std::string(demo::link_name) + ", 1 kHz, 64 B", "socket_1khz_64"};
  row one_way{"64 B", "one_way_64"};
  row one_way_batched{"64 B, 32 published together", "one_way_64_batch_32"};
  row one_way_64k{"64 KiB", "one_way_64k"};
  row one_way_1m{"1 MiB", "one_way_1m"};

private:
  static void show_progress(int round, int rounds) {
    if (!is_terminal(standard_stream::errors)) return;
    std::fprintf(stderr, "\r\033[Kmeasuring: round %d of %d", round, rounds);
  }
  static void hide_progress() {
    if (is_terminal(standard_stream::errors)) std::fputs("\r\033[K", stderr);
  }
};

std::string nanoseconds(std::uint64_t value) { return format_duration(static_cast<double>(value)); }

void print_head(const session& s) {
  const channel& link = s.link();
  const std::string where = s.cpus().apart()
                                ? "pinned to CPUs " + std::to_string(s.cpus().client_cpu()) +
                                      " and " + std::to_string(s.cpus().server_cpu()) + " of " +
                                      std::to_string(s.cpus().usable()) + " usable"
                                : "on the only usable CPU, so nothing spins";
  std::printf("Two processes, %s: %s, %s\n", where.c_str(), cpu_model().c_str(),
              kernel_release().c_str());
  std::printf("loop: %s\nspin: %s; bells: client woken by %s, server by %s\n\n",
              std::string(s.on().backend_reason()).c_str(), name_of(s.on().spinning()).c_str(),
              sys::name_of(link.woken_by()), sys::name_of(link.wakes_peer_by()));
}

void print_round_trips(const measurement& m) {
  std::printf("%-28s %9s %9s %9s %9s  %19s %7s %7s\n", "round trip", "p50", "p99", "p99.9", "max",
              "CPU client + server", "bells", "parks");
  for (const row* r : m.round_trips()) {
    const sample& all = r->all();
    const bool socket = r == &m.socket_hot || r == &m.socket_paced;
    std::printf("%-28s %9s %9s %9s %9s  %8s + %8s", r->name().c_str(),
                nanoseconds(r->p50()).c_str(), nanoseconds(all.times.quantile(0.99)).c_str(),
                nanoseconds(all.times.quantile(0.999)).c_str(),
                nanoseconds(all.times.max()).c_str(),
                format_duration(r->per_message(all.client.cpu_ns)).c_str(),
                format_duration(r->per_message(all.server.cpu_ns)).c_str());
    if (socket)
      std::printf(" %7s %7s\n", "-", "-");
    else
      std::printf(" %7.2g %7.2g\n", r->per_message(all.client.bells + all.server.bells),
                  r->per_message(all.client.parks + all.server.parks));
  }
}

void print_one_way(const measurement& m) {
  std::printf("\n%-28s %12s %10s %18s  %19s %7s %7s\n", "one way", "messages/s", "GB/s", "",
              "CPU client + server", "bells", "parks");
  for (const row* r : m.one_way_rows()) {
    const sample& all = r->all();
    std::printf("%-28s %12s %10.2f %18s  %8s + %8s %7.2g %7.2g\n", r->name().c_str(),
                format_count(r->messages_per_second()).c_str(), r->bytes_per_second() / 1e9, "",
                format_duration(r->per_message(all.client.cpu_ns)).c_str(),
                format_duration(r->per_message(all.server.cpu_ns)).c_str(),
                r->per_message(all.client.bells + all.server.bells),
                r->per_message(all.client.parks + all.server.parks));
  }
}

void print_text(const session& s, const measurement& m) {
  print_head(s);
  print_round_trips(m);
  print_one_way(m);
  const std::vector<double> ratios = m.ratios(m.socket_hot);
  const auto [low, high] = std::minmax_element(ratios.begin(), ratios.end());
  constexpr const char* notes = R"(
CPU, bells and parks are per round trip or message; bells and parks of both processes. 1 kHz is measured from the time at which
each message was due, so a late one counts. p50, messages/s and GB/s: medians of %zu rounds, in which all kinds take turns.
One way: copied in by the sender, read in full and checked by the receiver.

Hot round trip of 64 B: the %s takes %.0f times as long as ringbell (median; %.0f to %.0f in %zu rounds).
)";
  std::printf(notes, ratios.size(), demo::link_name, row::median_of(ratios), *low, *high,
              ratios.size());
  if (!m.has_asio()) return;
  const std::vector<double> in_asio = m.ratios(m.asio_hot);
  const auto [least, most] = std::minmax_element(in_asio.begin(), in_asio.end());
  std::printf(
      "Hot round trip of 64 B in asio::awaitable: %.2f times the native one (median; %.2f to %.2f in %zu rounds).\n",
      row::median_of(in_asio), *least, *most, in_asio.size());
}

void add_usage(json& out, const row& r, bool socket) {
  const sample& all = r.all();
  out.value("messages", all.messages);
  out.value("cpu_client_ns", r.per_message(all.client.cpu_ns))
      .value("cpu_server_ns", r.per_message(all.server.cpu_ns));
  if (socket) return;
  out.value("bells_per_message", r.per_message(all.client.bells + all.server.bells));
  out.value("parks_per_message", r.per_message(all.client.parks + all.server.parks));
}

void print_json(const session& s, const measurement& m) {
  json out;
  out.begin_object();
  out.value("kernel", kernel_release())
      .value("cpu", cpu_model())
      .value("usable_cpus", s.cpus().usable())
      .value("pinned", s.cpus().apart());
  out.value("loop", s.on().backend_name())
      .value("loop_reason", s.on().backend_reason())
      .value("spin", name_of(s.on().spinning()));
  out.value("client_bell", sys::name_of(s.link().woken_by()))
      .value("server_bell", sys::name_of(s.link().wakes_peer_by()));
  out.value("rounds", m.ring_hot.medians().size());
  out.begin_object("round_trips");
  for (const row* r : m.round_trips()) {
    const histogram& times = r->all().times;
    out.begin_object(r->key());
    out.value("p50_ns", r->p50())
        .value("p99_ns", times.quantile(0.99))
        .value("p999_ns", times.quantile(0.999))
        .value("max_ns", times.max());
    add_usage(out, *r, r == &m.socket_hot || r == &m.socket_paced);
    out.end_object();
  }
  out.end_object();
  out.begin_object("one_way");
  for (const row* r : m.one_way_rows()) {
    out.begin_object(r->key());
    out.value("messages_per_second", r->messages_per_second())
        .value("bytes_per_second", r->bytes_per_second());
    add_usage(out, *r, false);
    out.end_object();
  }
  out.end_object();
  out.value("socket_to_ringbell_hot_p50", row::median_of(m.ratios(m.socket_hot)));
  if (m.has_asio()) out.value("asio_to_ringbell_hot_p50", row::median_of(m.ratios(m.asio_hot)));
  out.end_object();
  std::printf("%s\n", out.text().c_str());
}

}  // namespace

int run_demo(const demo_options& options) {
  common_options common = options.common;
  if (common.ring_bytes == 0) common.ring_bytes = usual_demo_ring;
  session s(common);
  measurement m;
  m.run(s, options.quick);
  options.as_json ? print_json(s, m) : print_text(s, m);
  return exit_ok;
}

}  // namespace ringbell::tool
