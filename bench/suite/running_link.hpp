// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "../worker_process.hpp"
#include "link.hpp"
#include "processors.hpp"
#include "shared_memory.hpp"

#include <atomic>
#include <cstdint>
#include <memory>

namespace ringbell::bench {

/// A link with the process at its other end, which sleeps between slices, and dies with this one.
class running_link {
public:
  /// Forks. Only while this process has one thread.
  running_link(const contender& kind, const link_options& options, placement where);
  /// Once every link of a case was forked. Throws what the link throws, and when the other process does not come up.
  void connect();
  /// Runs one slice at both ends: gives what both have used up. Throws when the other process has died; a slice that takes longer than a minute ends this
  /// process, and with it all others.
  usage run(const slice& s, times& t);

private:
  void serve(pipe_end& end);

  contender kind_;
  placement where_;
  shared_memory memory_;
  std::atomic<std::uint64_t>& begun_;  // slices that the child has begun
  std::uint64_t slices_ = 0;
  std::unique_ptr<link> link_;
  std::unique_ptr<worker_process> peer_;
};

}  // namespace ringbell::bench
