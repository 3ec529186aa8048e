// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstddef>

namespace ringbell::detail {

/// The bytes that one side of a service keeps for the other side. `most` bounds what a peer can
/// make it keep.
///
/// Thread-safety: one thread.
struct byte_budget {
  std::size_t used = 0;
  std::size_t most = ~std::size_t{0};
  bool has_room(std::size_t bytes) const noexcept { return bytes <= most && used <= most - bytes; }
};

}  // namespace ringbell::detail
