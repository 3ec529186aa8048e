// SPDX-License-Identifier: BSL-1.0
// What the benchmarks compute: quantiles, ratios, pacing, percentiles of merged histograms, bars.
#include "bars.hpp"
#include "cases.hpp"
#include "statistics.hpp"
#include "stopwatch.hpp"
#include "user_case.hpp"
#include "zipf.hpp"

#include <doctest/doctest.h>

#include <chrono>
#include <cstdint>
#include <set>
#include <string>
#include <vector>

TEST_SUITE("bench") {

using namespace ringbell::bench;

namespace {

contender_figures figures(const char* id, std::vector<double> each) {
  contender_figures f;
  f.id = id;
  f.each = each;
  f.cpu = std::move(each);
  return f;
}

const bar_outcome* find(const std::vector<bar_outcome>& all, const std::string& part) {
  for (const bar_outcome& b : all)
    if (b.what.find(part) != std::string::npos) return &b;
  return nullptr;
}

}  // namespace

TEST_CASE("a median is the middle value, or the lower of the two in the middle") {
  CHECK(median({3, 1, 2}) == 2);
  CHECK(median({4, 1, 3, 2}) == 2);
  CHECK(median({7}) == 7);
  CHECK(median({}) == 0);
}

TEST_CASE("a spread leaves out a tenth of the rounds on either side") {
  std::vector<double> rounds;
  for (int i = 1; i <= 20; ++i) rounds.push_back(i);
  const spread s = spread_of(rounds);
  CHECK(s.low == 2);
  CHECK(s.median == 10);
  CHECK(s.high == 18);
  CHECK(s.rounds == 20);
}

TEST_CASE("ratios are taken round by round, as far as both go, and not by what took no time") {
  CHECK(ratios({2, 9, 8}, {1, 3}) == std::vector<double>{2, 3});
  CHECK(ratios({2, 9}, {0, 3}) == std::vector<double>{3});
}

TEST_CASE("merged histograms have the percentiles of all values") {
  ringbell::tool::histogram low;
  ringbell::tool::histogram high;
  for (std::uint64_t i = 1; i <= 50; ++i) {
    low.add(i);
    high.add(50 + i);
  }
  low.add(high);
  CHECK(low.count() == 100);
  CHECK(low.quantile(0.5) == 50);
  CHECK(low.quantile(0.99) == 99);
  CHECK(low.max() == 100);
}

TEST_CASE("a batch is timed as a whole, and what is left over of the slice is not") {
  slice s;
  s.messages = 7;
  s.batch = 3;
  times t;
  batch_watch watch(s, t);
  watch.start();
  for (std::uint64_t i = 0; i < s.messages; ++i) watch.lap();
  watch.stop();
  CHECK(t.batches.size() == 2);
  CHECK(t.from_intended.count() == 0);
}

TEST_CASE("a paced message does not go before its time") {
  slice s;
  s.gap = 200'000;
  times t;
  const auto begun = bench_clock::now();
  paced_watch watch(s, t);
  for (int i = 0; i < 5; ++i) watch.pace();
  CHECK(bench_clock::now() - begun >= std::chrono::microseconds(1000));
}

TEST_CASE(
    "a message that comes back late makes the next ones late, from when they were meant to be sent") {
  slice s;
  s.gap = 100'000;
  times t;
  paced_watch watch(s, t);
  watch.start();
  watch.pace();
  const auto until = bench_clock::now() + std::chrono::milliseconds(1);
  while (bench_clock::now() < until) {}  // the answer takes ten gaps
  watch.lap();
  for (int i = 0; i < 3; ++i) {
    watch.pace();
    watch.lap();
  }
  CHECK(t.from_intended.count() == 4);
  CHECK(t.late == 3);
  CHECK(t.from_intended.quantile(0.25) >= 500'000);
  CHECK(t.from_sent.quantile(0.25) < t.from_intended.quantile(0.25));
}

TEST_CASE("what both processes used up is added, and unknown if it is so of one") {
  usage a;
  a.cpu = 1;
  a.switches = 2;
  a.calls = 3;
  usage b = a;
  b.bells = 4;
  a += b;
  CHECK(a.cpu == 2);
  CHECK(a.switches == 4);
  CHECK(a.calls == 6);
  CHECK(a.bells == -1);
}

TEST_CASE("Zipf's draws favour the first as 1/k does, and reach everybody") {
  zipf draws(100);
  std::vector<int> count(100);
  for (int i = 0; i < 1 << 16; ++i) ++count.at(draws.next());
  CHECK(count[0] > 11000);  // 65,536 / 5.187 = 12,634
  CHECK(count[0] < 14500);
  CHECK(count[1] > 5500);
  CHECK(count[1] < 7200);
  CHECK(*std::min_element(count.begin(), count.end()) > 0);
  zipf alone(1);
  CHECK(alone.next() == 0);
}

TEST_CASE("no two cases have the same name, and each has a reference") {
  std::set<std::string> names;
  for (const bench_case& c : all_cases(case_choice())) {
    CAPTURE(c.id);
    CHECK(names.insert(c.id).second);
    CHECK_FALSE(c.contenders.empty());
  }
}

TEST_CASE("the cases of the bars are enough to measure all bars that need no peer") {
  std::vector<case_result> results;
  for (bench_case& c : cases_of_bars(all_cases(case_choice()))) {
    case_result r;
    for (const std::string& id : c.contenders) {
      if (is_peer(id)) continue;
      r.figures.push_back(figures(id.c_str(), {1, 1}));
      r.figures.back().calls = r.figures.back().bells = 0;
    }
    r.what = std::move(c);
    results.push_back(std::move(r));
  }
  for (const bar_outcome& b : evaluate_bars(results)) {
    CAPTURE(b.what);
    CHECK((b.measured || b.what.starts_with("every peer") ||
           b.what.find("Unix socket") != std::string::npos));
  }
}

TEST_CASE("a bar is reached by the median of the rounds' ratios") {
  case_result r;
  r.what.id = "ping-pong/two/hot/64";
  r.figures.push_back(figures("cache-line", {100, 200, 100}));
  r.figures.push_back(figures("native/io_uring/always", {120, 240, 300}));
  const auto outcomes = evaluate_bars({r});
  const bar_outcome* const b = find(outcomes, "hot, 64 B: native / cache line");
  REQUIRE(b);
  REQUIRE(b->measured);
  CHECK(b->figure.median == doctest::Approx(1.2));
  CHECK(b->reached());
  CHECK_FALSE(find(outcomes, "hot, 32 B")->measured);
}

TEST_CASE(
    "a peer that spins is compared with a ringbell that does, one that sleeps with an adaptive one") {
  case_result r;
  r.what.id = "ping-pong/two/hot/64";
  r.what.scenario = "ping-pong";
  r.figures.push_back(figures("native/io_uring/always", {10}));
  r.figures.push_back(figures("native/io_uring/adaptive", {30}));
  r.figures.push_back(figures("iceoryx-poll", {20}));
  r.figures.push_back(figures("zeromq", {60}));
  r.figures[2].spins = true;
  r.figures[2].what = r.figures[3].what = contender::role::peer;
  const auto outcomes = evaluate_bars({r});
  const bar_outcome* const b = find(outcomes, "every peer");
  REQUIRE(b);
  CHECK(b->figure.median == doctest::Approx(0.5));
  CHECK(b->reached());
}

TEST_CASE("a bar of speed is a ratio of messages a second") {
  case_result r;
  r.what.id = "one-way/two/64";
  r.figures.push_back(figures("bare-ring", {50, 50}));
  r.figures.push_back(figures("native/io_uring/always", {100, 100}));
  const auto outcomes = evaluate_bars({r});
  const bar_outcome* const b = find(outcomes, "native / bare ring");
  REQUIRE(b);
  CHECK(b->figure.median == doctest::Approx(0.5));
  CHECK_FALSE(b->reached());
}

namespace {

/// Figures of five rounds, of which none was late.
contender_figures user_figures(const char* id, double time, double cpu) {
  contender_figures f;
  f.id = id;
  f.each = std::vector<double>(5, time);
  f.cpu = std::vector<double>(5, cpu);
  f.messages = 100;
  return f;
}

verdict::outcome judged(double time, double cpu) {
  return judge(user_figures(user_ringbell, time, cpu), user_figures(user_socket, 1000, 1000)).what;
}

}  // namespace

TEST_CASE("ringbell pays when it takes less of one thing, and not more of the other") {
  CHECK(judged(500, 500) == verdict::outcome::pays);
  CHECK(judged(500, 1000) == verdict::outcome::pays);
  CHECK(judged(1050, 500) == verdict::outcome::pays);
  CHECK(judged(2000, 2000) == verdict::outcome::does_not_pay);
  CHECK(judged(1000, 2000) == verdict::outcome::does_not_pay);
  CHECK(judged(500, 2000) == verdict::outcome::trade);
  CHECK(judged(2000, 500) == verdict::outcome::trade);
  CHECK(judged(1050, 950) == verdict::outcome::no_difference);
}

TEST_CASE("what is not so in most rounds is no difference") {
  contender_figures own = user_figures(user_ringbell, 500, 1000);
  const contender_figures socket = user_figures(user_socket, 1000, 1000);
  CHECK(judge(own, socket).what == verdict::outcome::pays);
  own.each = {500, 500, 500, 1000, 2000};
  CHECK(judge(own, socket).what == verdict::outcome::no_difference);
}

TEST_CASE("a rate that one side does not keep decides, and one that neither keeps says nothing") {
  contender_figures own = user_figures(user_ringbell, 500, 500);
  contender_figures socket = user_figures(user_socket, 1000, 1000);
  socket.late = 50;
  CHECK(judge(own, socket).what == verdict::outcome::pays);
  own.late = 50;
  CHECK(judge(own, socket).what == verdict::outcome::cannot_tell);
  socket.late = 0;
  CHECK(judge(own, socket).what == verdict::outcome::does_not_pay);
}

TEST_CASE("a side that failed is named, with its error") {
  contender_figures own = user_figures(user_ringbell, 500, 500);
  own.error = "no memory";
  const verdict said = judge(own, user_figures(user_socket, 1000, 1000));
  CHECK(said.what == verdict::outcome::cannot_tell);
  CHECK(said.sentence.find("ringbell failed: no memory") != std::string::npos);
}

TEST_CASE("a verdict is one sentence with the figures of both sides") {
  const verdict said =
      judge(user_figures(user_ringbell, 500, 700), user_figures(user_socket, 2000, 1400));
  CHECK(said.sentence.starts_with("ringbell pays: a round trip takes 500 ns"));
  CHECK(said.sentence.find("4 times") != std::string::npos);
  CHECK(said.sentence.find("2 times") != std::string::npos);
}

TEST_CASE("a file is cut into records, of which the last may be shorter") {
  user_messages all;
  all.bytes.resize(10);
  all.record = 4;
  CHECK(all.count() == 3);
  CHECK(all.at(0).size() == 4);
  CHECK(all.at(2).size() == 2);
  CHECK(all.at(3).data() == all.at(0).data());
}

}  // TEST_SUITE("bench")
