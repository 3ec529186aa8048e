// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>

#include <cstddef>

#include "support/pattern.hpp"

namespace ringbell::test {

/// Fills the ring with messages of `size` bytes. Returns how many fit.
inline int fill_ring(channel& ch, std::size_t size) {
  const auto bytes = patterned(size, 1);
  int sent = 0;
  while (!ch.try_send(bytes)) ++sent;
  return sent;
}

}  // namespace ringbell::test
