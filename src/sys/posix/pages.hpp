// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/region.hpp>

#include <cstddef>
#include <cstdint>

namespace ringbell::sys {

/// Rounds up to whole pages. Returns 0 when there is no such size.
inline std::size_t whole_pages(std::size_t bytes) noexcept {
  const std::size_t mask = page_size() - 1;
  if (bytes > static_cast<std::size_t>(PTRDIFF_MAX) - mask) return 0;
  return (bytes + mask) & ~mask;
}

}  // namespace ringbell::sys
