// SPDX-License-Identifier: BSL-1.0
#include "bars.hpp"

#include "cases.hpp"

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <string_view>
#include <utility>

namespace ringbell::bench {

namespace {

enum class bar_figure : std::uint8_t {
  time,   ///< a message's, as a ratio
  speed,  ///< messages a second, as a ratio
  cpu,    ///< processor time of a message, as a ratio
  calls,  ///< system calls of a message
  bells   ///< bells of a message
};

struct bar {
  const char* what;
  bar_figure of_what;
  bool at_most;
  double limit;
  const char* in;
  const char* contender;
  const char* over = nullptr;
};

constexpr const char* native_hot = "native/io_uring/always";
constexpr const char* adaptive = "native/io_uring/adaptive";
constexpr const char* asleep = "native/io_uring/none";

constexpr bar bars[] = {
    {"hot, 32 B: native / cache line", bar_figure::time, true, 1.2, "ping-pong/two/hot/32",
     native_hot, "cache-line"},
    {"hot, 64 B: native / cache line", bar_figure::time, true, 1.25, "ping-pong/two/hot/64",
     native_hot, "cache-line"},
    {"hot, 64 B: in Asio / native", bar_figure::time, true, 1.5, "ping-pong/two/hot/64",
     "asio/always", native_hot},
    {"hot, 64 B: Asio's Unix socket / ringbell in Asio", bar_figure::time, false, 100,
     "ping-pong/two/hot/64", "asio-socket", "asio/always"},
    {"hot, 64 B: a stream in Asio / the channel, by tokens", bar_figure::time, true, 2,
     "ping-pong/two/hot/64", "asio/adaptive/stream", "asio/adaptive/tokens"},
    {"hot, HTTP by Beast: ringbell / Unix socket", bar_figure::time, true, 0.1, "http/two/hot/64",
     "http/ringbell/always", "http/socket"},
    {"each 1 ms, HTTP by Beast, spin none: ringbell / Unix socket", bar_figure::time, true, 1.1,
     "http/two/1ms/64", "http/ringbell/none", "http/socket"},
    {"each 1 ms, spin none, two processors: native / eventfd", bar_figure::time, true, 1.1,
     "ping-pong/two/1ms/64", asleep, "eventfd"},
    {"each 1 ms, spin none, one processor: native / eventfd", bar_figure::time, true, 1.1,
     "ping-pong/one/1ms/64", asleep, "eventfd"},
    {"each 1 ms, two processors: processor time, adaptive / none", bar_figure::cpu, true, 1.1,
     "ping-pong/two/1ms/64", adaptive, asleep},
    {"each 1 ms, one processor: processor time, adaptive / none", bar_figure::cpu, true, 1.1,
     "ping-pong/one/1ms/64", adaptive, asleep},
    {"each 10 us: adaptive / always", bar_figure::time, true, 1.2, "ping-pong/two/10us/64",
     adaptive, native_hot},
    {"one way, 64 B: speed, native / bare ring", bar_figure::speed, false, 0.85, "one-way/two/64",
     native_hot, "bare-ring"},
    {"one way, 64 B: speed, batched / not", bar_figure::speed, false, 2, "one-way/two/64",
     "native/io_uring/always/batched", native_hot},
    {"one way, 64 B, batched, adaptive: bells a message", bar_figure::bells, true, 0.001,
     "one-way/two/64", "native/io_uring/adaptive/batched"},
    {"one way, 1 MiB, zero-copy: speed / memcpy", bar_figure::speed, false, 0.8,
     "one-way/two/1048576", "native/io_uring/always/zero-copy", "memcpy"},
    {"one way, 64 B: speed, 1,000 clients / 1", bar_figure::speed, false, 0.7, "fan-in/two/64",
     "fan-in/io_uring/1000", "fan-in/io_uring/1"},
    {"hot, 64 B, native: system calls a message", bar_figure::calls, true, 0.001,
     "ping-pong/two/hot/64", native_hot},
    {"one way, 64 B, native: system calls a message", bar_figure::calls, true, 0.001,
     "one-way/two/64", native_hot},
};

/// Peers are compared hot and parked, at sizes up to 64 KiB; with spin adaptive, or always where
/// the peer always spins.
bool has_peers(const bench_case& c) {
  return c.scenario == "ping-pong" && c.where == placement::two &&
         (c.gap == 0 || c.gap == 1'000'000) && c.size <= 64 << 10;
}
constexpr const char* every_peer =
    "every peer, hot and each 1 ms, to 64 KiB: the worst native / peer, ";

bool needs(const bench_case& c, std::string_view contender_id) {
  if (has_peers(c) &&
      (contender_id == adaptive || contender_id == native_hot || is_peer(contender_id)))
    return true;
  return std::any_of(std::begin(bars), std::end(bars), [&](const bar& b) {
    return c.id == b.in && (contender_id == b.contender || (b.over && contender_id == b.over));
  });
}

const case_result* find(const std::vector<case_result>& results, std::string_view id) {
  const auto found = std::find_if(results.begin(), results.end(),
                                  [id](const case_result& r) { return r.what.id == id; });
  return found == results.end() ? nullptr : &*found;
}

spread constant(double value) { return {value, value, value, 1}; }

/// False when it was not measured.
bool measure(const bar& b, const std::vector<case_result>& results, spread& out) {
  const case_result* const in = find(results, b.in);
  const contender_figures* const one = in ? in->find(b.contender) : nullptr;
  const contender_figures* const other = in && b.over ? in->find(b.over) : nullptr;
  if (!one || (b.over && !other)) return false;
  switch (b.of_what) {
    case bar_figure::time: out = spread_of(ratios(one->each, other->each)); break;
    case bar_figure::speed: out = spread_of(ratios(other->each, one->each)); break;
    case bar_figure::cpu: out = spread_of(ratios(one->cpu, other->cpu)); break;
    case bar_figure::calls: out = constant(one->calls); return one->calls >= 0;
    case bar_figure::bells: out = constant(one->bells); return one->bells >= 0;
  }
  return out.rounds != 0;
}

enum class beside : std::uint8_t { p50, p99 };

bar_outcome beside_peers(const std::vector<case_result>& results, beside what) {
  bar_outcome out;
  out.what = std::string(every_peer) + (what == beside::p50 ? "p50" : "p99");
  out.limit = 1;
  for (const case_result& r : results) {
    if (!has_peers(r.what)) continue;
    for (const contender_figures& f : r.figures) {
      const contender_figures* const ours = r.find(f.spins ? native_hot : adaptive);
      if (!ours || f.what != contender::role::peer || f.each.empty()) continue;
      const spread ratio =
          spread_of(what == beside::p50 ? ratios(ours->each, f.each) : ratios(ours->p99, f.p99));
      if (out.measured && ratio.median <= out.figure.median) continue;
      out.measured = true;
      out.figure = ratio;
      out.remark = f.id + " in " + r.what.id;
    }
  }
  return out;
}

}  // namespace

std::vector<bench_case> cases_of_bars(std::vector<bench_case> all) {
  for (bench_case& c : all)
    std::erase_if(c.contenders, [&](const std::string& id) { return !needs(c, id); });
  std::erase_if(all, [](const bench_case& c) { return c.contenders.empty(); });
  return all;
}

std::vector<bar_outcome> evaluate_bars(const std::vector<case_result>& results) {
  std::vector<bar_outcome> all;
  for (const bar& b : bars) {
    bar_outcome out;
    out.what = b.what;
    out.at_most = b.at_most;
    out.limit = b.limit;
    out.measured = measure(b, results, out.figure);
    all.push_back(std::move(out));
  }
  for (const beside what : {beside::p50, beside::p99}) all.push_back(beside_peers(results, what));
  return all;
}

std::string table_of(const std::vector<bar_outcome>& outcomes) {
  if (outcomes.empty()) return {};
  std::string text =
      "\nBars                                                                         wanted  measured (10..90 %)\n";
  char line[240];
  for (const bar_outcome& b : outcomes) {
    std::snprintf(line, sizeof line, "  %-72s %s %-6.4g", b.what.c_str(),
                  b.at_most ? "<=" : ">=", b.limit);
    text += line;
    if (b.measured) {
      std::snprintf(line, sizeof line, b.figure.rounds > 1 ? " %.3g (%.3g..%.3g)" : " %.3g",
                    b.figure.median, b.figure.low, b.figure.high);
      text += line;
      text += b.reached() ? "" : "   not reached";
      if (!b.remark.empty()) text += "; " + b.remark;
    } else {
      text += " not measured";
    }
    text += '\n';
  }
  return text;
}

void write_json(tool::json& out, const std::vector<bar_outcome>& outcomes) {
  out.begin_array("bars");
  for (const bar_outcome& b : outcomes) {
    out.begin_object()
        .value("what", b.what)
        .value(b.at_most ? "at_most" : "at_least", b.limit)
        .value("measured", b.measured);
    if (b.measured)
      out.value("median", b.figure.median)
          .value("low", b.figure.low)
          .value("high", b.figure.high)
          .value("reached", b.reached());
    if (!b.remark.empty()) out.value("remark", b.remark);
    out.end_object();
  }
  out.end_array();
}

}  // namespace ringbell::bench
