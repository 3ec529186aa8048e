// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "contenders.hpp"
#include "processors.hpp"
#include "statistics.hpp"

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace ringbell::bench {

/// One thing that is measured of several contenders, side by side.
struct bench_case {
  std::string id;        ///< such as `ping-pong/two/hot/64`
  std::string title;     ///< for people
  std::string scenario;  ///< what it is chosen by, such as `ping-pong`
  traffic kind = traffic::ping_pong;
  placement where = placement::two;
  std::uint64_t size = 64;
  std::int64_t gap = 0;                 ///< as in `slice`
  std::vector<std::string> contenders;  ///< their ids; the first one is the reference
};

/// How much to measure.
struct effort {
  int rounds = 20;
  std::chrono::nanoseconds slice_time{std::chrono::milliseconds(5)};
  /// A channel has a pace of its own for as long as it lives, by where its memory lies: so that
  /// many links of a kind take turns.
  std::size_t links = 4;
  bool quick = false;
};

/// What a contender has done in a case. Vectors have one figure for each round.
struct contender_figures {
  std::string id;
  std::string title;
  contender::role what = contender::role::reference;
  bool spins = false;
  std::string error;  ///< why there are no figures, or no more
  std::vector<double>
      /// nanoseconds of a message: of a round trip from when it was sent, or of one among many
      each;
  std::vector<double>
      /// nanoseconds of a round trip, from when it was sent; of few in a round it is the slowest
      p99;
  std::vector<double> cpu;       ///< processor time of both processes, nanoseconds a message
  std::vector<double> switches;  ///< context switches of both, a message
  double calls = -1;             ///< system calls of both, a message; -1: not known
  double bells = -1;             ///< ringbell's, of both, a message; -1: has none
  double parks = -1;
  std::uint64_t messages = 0;  ///< in the histograms, or in all slices when there are none
  std::uint64_t late =
      0;  ///< of those, how many could not go at their time, since the one before was not back
  tool::histogram from_intended;
  tool::histogram from_sent;
};

struct case_result {
  bench_case what;
  std::vector<contender_figures>
      figures;  ///< in the order of the case's contenders; those that cannot run there are left out

  const contender_figures* find(std::string_view id) const noexcept;
  /// The first that has figures; null when nobody has.
  const contender_figures* reference() const noexcept;
};

/// Called now and then, with how many rounds are done.
using progress = std::function<void(int)>;

/// Runs all contenders of a case in turn, slice by slice, after warming up; then once more to count
/// system calls. A contender that fails is left behind, with its error. Throws `interrupted`.
case_result run_case(const bench_case& what, const contender_list& contenders, const effort& how,
                     const progress& tell);

}  // namespace ringbell::bench
