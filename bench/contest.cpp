// SPDX-License-Identifier: BSL-1.0
#include "contest.hpp"

#include "ring_size.hpp"
#include "running_link.hpp"
#include "temporary_folder.hpp"
#include "watchdog.hpp"

#include <algorithm>
#include <cmath>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <utility>

namespace ringbell::bench {

namespace {

constexpr std::uint64_t fewest_messages = 16;
constexpr std::uint64_t most_messages = 1'000'000;
constexpr std::uint64_t most_paced_messages = 500;
constexpr std::uint64_t batches_of_a_slice = 20;
constexpr std::uint64_t rings_of_a_batch = 4;
constexpr std::size_t enough_batches = 5;
constexpr int passes = 3;  // of warming up

/// A contender while a case runs.
class lane {
public:
  lane(const contender& kind, const bench_case& what, const effort& how)
      : kind_(kind), case_(what), how_(how) {
    figures_.id = kind.id;
    figures_.title = kind.title;
    figures_.what = kind.what;
    figures_.spins = kind.spins;
  }

  bool needs_name() const noexcept { return kind_.needs_name; }
  bool failed() const noexcept { return !figures_.error.empty(); }
  contender_figures take() noexcept { return std::move(figures_); }

  /// Does something with it, unless it has failed; if that fails, it has.
  template <class F>
  void attempt(F f) {
    throw_if_interrupted();
    if (failed()) return;
    try {
      f(*this);
    } catch (const std::exception& error) {
      throw_if_interrupted();  // which may be why
      figures_.error = error.what();
      links_.clear();
    }
  }

  void fork(const temporary_folder& folder) {
    const bool matters = case_.gap == 0 && kind_.what != contender::role::peer;
    const std::size_t count = kind_.links != 0 ? kind_.links : matters ? how_.links : 1;
    for (std::size_t i = 0; i < count; ++i) {
      link_options options;
      options.size = std::max<std::uint64_t>(case_.size, 8);
      options.path = folder.new_name();
      options.where = case_.where;
      links_.emplace_back(kind_, options);
    }
  }
  void connect() {
    for (running_link& link : links_) link.connect();
  }
  /// Finds out how many messages make a slice of the wanted length, and warms up.
  void warm_up() {
    slice_.kind = case_.kind;
    slice_.size = case_.size;
    slice_.gap = case_.gap;
    const bool one_way = case_.kind == traffic::one_way;
    const auto wanted = static_cast<double>(how_.slice_time.count()) * (one_way ? 4 : 1);
    if (case_.gap != 0) return warm_up_paced(4 * wanted);
    slice_.messages = fewest_messages;
    slice_.lead_in = fewest_messages;
    double each = 1e12;  // the least of all passes: somebody else may run in one of them
    for (running_link& link : links_)
      for (int pass = 0; pass < passes; ++pass) {
        times t;
        link.run(slice_, t);
        each = std::min(each, std::max(1.0, t.elapsed / static_cast<double>(slice_.messages)));
        slice_.messages =
            std::clamp(static_cast<std::uint64_t>(wanted / each), fewest_messages, most_messages);
        slice_.lead_in = std::min<std::uint64_t>(slice_.messages / 4, 500);
      }
    slice_.batch = std::max<std::uint64_t>(1, slice_.messages / batches_of_a_slice);
    // So that what fits into the ring meanwhile does not make a batch look fast.
    if (one_way)
      slice_.batch =
          std::max(slice_.batch, rings_of_a_batch * ring_bytes_for(slice_.size) / slice_.size);
  }
  void one_round(int round) {
    running_link& link = links_[static_cast<std::size_t>(round) % links_.size()];
    times t;
    const usage used = link.run(slice_, t);
    const auto all = static_cast<double>(slice_.all());
    figures_.cpu.push_back(std::max(0.0, used.cpu) / all);
    figures_.switches.push_back(static_cast<double>(used.switches) / all);
    add(used);
    if (case_.gap != 0) {
      figures_.each.push_back(static_cast<double>(t.from_sent.quantile(0.5)));
      keep(t);
    } else if (case_.kind == traffic::one_way) {
      const bool by_batch = t.batches.size() >= enough_batches && !kind_.queues_much;
      figures_.each.push_back(by_batch ? median(t.batches)
                                       : t.elapsed / static_cast<double>(slice_.messages));
      figures_.messages += slice_.messages;
    } else {
      figures_.each.push_back(median(t.batches));
      slice timed = slice_;
      timed.each = true;
      times each;
      link.run(timed, each);
      keep(each);
    }
  }
  void count_calls() {
    slice counting = slice_;
    counting.count_calls = true;
    times t;
    const usage used = links_.front().run(counting, t);
    if (used.calls >= 0)
      figures_.calls = static_cast<double>(used.calls) / static_cast<double>(counting.all());
  }
  void finish() {
    if (messages_ == 0) return;
    const auto all = static_cast<double>(messages_);
    if (bells_ >= 0) figures_.bells = static_cast<double>(bells_) / all;
    if (parks_ >= 0) figures_.parks = static_cast<double>(parks_) / all;
  }

private:
  /// A contender that cannot keep the pace gets fewer messages, so that its slices last no longer
  /// than those of the others.
  void warm_up_paced(double wanted) {
    const auto fitting = [&](double each) {
      const double n = wanted / std::max(each, static_cast<double>(case_.gap));
      return std::clamp<std::uint64_t>(static_cast<std::uint64_t>(n), how_.quick ? 1 : 2,
                                       most_paced_messages);
    };
    slice_.messages = fitting(0);
    slice_.lead_in = slice_.messages > 2 ? 3 : 1;
    if (slice_.messages <= 2) return;
    slice_.messages = std::min(slice_.messages, fewest_messages);
    for (running_link& link : links_) {
      times t;
      link.run(slice_, t);
      slice_.messages = fitting(static_cast<double>(t.from_sent.quantile(0.5)));
    }
  }
  void add(const usage& used) noexcept {
    messages_ += slice_.all();
    bells_ = used.bells < 0 ? -1 : std::max<std::int64_t>(bells_, 0) + used.bells;
    parks_ = used.parks < 0 ? -1 : std::max<std::int64_t>(parks_, 0) + used.parks;
  }
  void keep(const times& t) {
    figures_.p99.push_back(
        static_cast<double>((case_.gap != 0 ? t.from_sent : t.from_intended).quantile(0.99)));
    figures_.from_intended.add(t.from_intended);
    figures_.from_sent.add(t.from_sent);
    figures_.late += t.late;
    figures_.messages = figures_.from_intended.count();
  }

  const contender& kind_;
  const bench_case& case_;
  const effort& how_;
  slice slice_;
  std::deque<running_link> links_;
  contender_figures figures_;
  std::uint64_t messages_ = 0;
  std::int64_t bells_ = -1;
  std::int64_t parks_ = -1;
};

int rounds_of(const bench_case& what, const effort& how) {
  // Those whose slices are long, since nothing happens for most of their time.
  return what.gap >= 50'000'000 ? std::max(1, how.rounds / 4) : how.rounds;
}

}  // namespace

case_result run_case(const bench_case& what, const contender_list& contenders, const effort& how,
                     const progress& tell) {
  case_result result;
  result.what = what;
  std::deque<lane> lanes;
  for (const std::string& id : what.contenders) {
    const contender* const kind = contenders.find(id);
    if (kind && !(kind->spins && what.where == placement::one))
      lanes.emplace_back(*kind, what, how);
  }
  const auto everybody = [&lanes](auto f) {
    for (lane& l : lanes) l.attempt(f);
  };
  std::optional<temporary_folder> folder(std::in_place);
  unpin();
  everybody([&](lane& l) { l.fork(*folder); });
  pin_parent();
  everybody([](lane& l) { l.connect(); });
  // Whatever ends the program then leaves nothing behind.
  if (std::none_of(lanes.begin(), lanes.end(), [](const lane& l) { return l.needs_name(); }))
    folder.reset();
  everybody([](lane& l) { l.warm_up(); });
  const int rounds = rounds_of(what, how);
  for (int round = 0; round < rounds; ++round) {
    tell(round);
    // Each begins in its turn, so that nobody always comes after the same one.
    for (std::size_t i = 0; i < lanes.size(); ++i)
      lanes[(i + static_cast<std::size_t>(round)) % lanes.size()].attempt(
          [round](lane& l) { l.one_round(round); });
  }
  everybody([](lane& l) { l.count_calls(); });
  for (lane& l : lanes) {
    l.finish();
    result.figures.push_back(l.take());
  }
  return result;
}

}  // namespace ringbell::bench
