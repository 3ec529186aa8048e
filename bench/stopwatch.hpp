// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "common/histogram.hpp"
#include "slice.hpp"

#include <time.h>
#include <chrono>
#include <cstdint>
#include <vector>

namespace ringbell::bench {

using bench_clock = std::chrono::steady_clock;

inline std::uint64_t nanoseconds(bench_clock::duration d) noexcept {
  const auto count = std::chrono::duration_cast<std::chrono::nanoseconds>(d).count();
  return count < 0 ? 0 : static_cast<std::uint64_t>(count);
}

/// What a slice has taken.
struct times {
  tool::histogram
      from_intended;            ///< nanoseconds of each message, from when it was meant to be sent
  tool::histogram from_sent;    ///< the same from when it was sent, where there was a pace to keep
  std::vector<double> batches;  ///< nanoseconds of a message, one figure for each batch
  double elapsed = 0;           ///< nanoseconds from the first message that counts to the last
  double pacing_cpu = 0;        ///< processor time spent on waiting for the next message's time
  std::int64_t pacing_sleeps = 0;  ///< how often that was by sleeping
  std::uint64_t late =
      0;  ///< messages that were sent after their time, since the one before had not come back
};

// A stopwatch for each way of looking at the clock. `pace` comes before a message, `start` before
// the first one that counts, `lap` after each that counts, `stop` after the last.

/// Reads the clock once for each batch.
class batch_watch {
public:
  batch_watch(const slice& s, times& t) : batch_(s.batch), left_(s.batch), times_(t) {
    times_.batches.reserve(s.messages / s.batch + 1);
  }
  void pace() noexcept {}
  void start() noexcept { begun_ = last_ = bench_clock::now(); }
  void lap() {
    if (--left_ != 0) return;
    left_ = batch_;
    const auto now = bench_clock::now();
    times_.batches.push_back(static_cast<double>(nanoseconds(now - last_)) /
                             static_cast<double>(batch_));
    last_ = now;
  }
  void stop() noexcept {
    times_.elapsed = static_cast<double>(nanoseconds(bench_clock::now() - begun_));
  }

private:
  std::uint64_t batch_;
  std::uint64_t left_;
  times& times_;
  bench_clock::time_point begun_{};
  bench_clock::time_point last_{};
};

/// Reads the clock once for each message: the end of one is the beginning of the next.
class each_watch {
public:
  each_watch(const slice&, times& t) noexcept : times_(t) {}
  void pace() noexcept {}
  void start() noexcept { begun_ = last_ = bench_clock::now(); }
  void lap() noexcept {
    const auto now = bench_clock::now();
    times_.from_intended.add(nanoseconds(now - last_));
    last_ = now;
  }
  void stop() noexcept { times_.elapsed = static_cast<double>(nanoseconds(last_ - begun_)); }

private:
  times& times_;
  bench_clock::time_point begun_{};
  bench_clock::time_point last_{};
};

/// System calls that a `paced_watch` makes to sleep once.
inline constexpr std::int64_t calls_of_a_pacing_sleep = 3;

/// Lets messages go at times that were fixed in advance, and counts from those: so a message that
/// comes back late also makes those late that should have gone meanwhile, as it would with clients
/// that do not wait for each other ("coordinated omission", G. Tene). A timer wakes some 60 us late
/// on a virtual machine, which would be in each figure: so the process sleeps until a little
/// before, then looks at the clock until it is time. What that costs is measured, to be taken off.
class paced_watch {
public:
  paced_watch(const slice& s, times& t) noexcept
      : gap_(s.gap), next_(bench_clock::now() + gap_), times_(t) {}
  void pace() noexcept {
    auto now = bench_clock::now();
    if (now >= next_) {
      late_ = true;
    } else {
      if (next_ - now > awake_before + shortest_sleep) now = sleep_until(next_ - awake_before);
      const auto spinning = now;
      while (now < next_) now = bench_clock::now();
      times_.pacing_cpu += static_cast<double>(nanoseconds(now - spinning));
      late_ = false;
    }
    intended_ = next_;
    sent_ = now;
    next_ += gap_;
  }
  void start() noexcept { begun_ = bench_clock::now(); }
  void lap() noexcept {
    const auto now = bench_clock::now();
    times_.from_intended.add(nanoseconds(now - intended_));
    times_.from_sent.add(nanoseconds(now - sent_));
    times_.late += late_ ? 1 : 0;
  }
  void stop() noexcept {
    times_.elapsed = static_cast<double>(nanoseconds(bench_clock::now() - begun_));
  }

private:
  static constexpr std::chrono::microseconds awake_before{150};
  static constexpr std::chrono::microseconds shortest_sleep{50};

  static double cpu_now() noexcept {
    timespec t{};
    ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) * 1e9 + static_cast<double>(t.tv_nsec);
  }
  bench_clock::time_point sleep_until(bench_clock::time_point when) noexcept {
    const double before = cpu_now();
    const auto since =
        std::chrono::duration_cast<std::chrono::nanoseconds>(when.time_since_epoch()).count();
    const timespec t{since / 1'000'000'000, since % 1'000'000'000};
    ::clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, nullptr);
    times_.pacing_cpu += cpu_now() - before;
    ++times_.pacing_sleeps;
    return bench_clock::now();
  }

  std::chrono::nanoseconds gap_;
  bench_clock::time_point next_;
  bench_clock::time_point intended_{};
  bench_clock::time_point sent_{};
  bench_clock::time_point begun_{};
  bool late_ = false;
  times& times_;
};

/// Calls `run` with the stopwatch that the slice asks for.
template <class F>
void with_stopwatch(const slice& s, times& t, F run) {
  if (s.gap != 0) {
    paced_watch watch(s, t);
    run(watch);
  } else if (s.each) {
    each_watch watch(s, t);
    run(watch);
  } else {
    batch_watch watch(s, t);
    run(watch);
  }
}

}  // namespace ringbell::bench
