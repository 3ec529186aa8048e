// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "contenders.hpp"
#include "ring_size.hpp"

#include <ringbell/ring/endpoint.hpp>

#include <sys/resource.h>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringbell::bench {

/// Many channels between two processes.
struct crowd {
  std::size_t channels = 1;
  bool all_active = false;  ///< else all but the first one are idle

  /// So many messages on each channel go round its ring once, so that no slice measures how the
  /// kernel makes pages for a client's first messages.
  static std::uint64_t messages_to_touch_a_ring(std::uint64_t size) noexcept {
    return default_ring / size + 1;
  }
};

/// So many descriptors, beside a few. Throws when this user may not have them.
inline void allow_descriptors(std::size_t many) {
  const rlim_t wanted = many + 100;
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wanted) return;
  if (limit.rlim_max < wanted)
    throw std::runtime_error("needs " + std::to_string(wanted) + " descriptors, and may have " +
                             std::to_string(limit.rlim_max) + " (ulimit -Hn)");
  limit.rlim_cur = limit.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &limit);
}

/// `make` gives the link.
template <class F>
contender crowd_contender(const std::string& front_end, const crowd& kind, F make) {
  contender c;
  const std::string number = std::to_string(kind.all_active ? kind.channels : kind.channels - 1);
  c.id = (kind.all_active ? "fan-in/" : "idle/") + front_end + '/' + number;
  c.title =
      front_end + (kind.all_active ? ", adaptive, clients: " : ", none, idle channels: ") + number;
  c.what = contender::role::ringbell;
  c.links = 1;
  c.queues_much = kind.all_active;  // in all its rings together
  c.make = std::move(make);
  return c;
}

}  // namespace ringbell::bench
