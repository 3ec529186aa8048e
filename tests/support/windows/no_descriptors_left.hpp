// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstddef>
#include <stdexcept>

namespace ringbell::test {

/// No process runs out of handles here before the machine runs out of memory. Cases that need that
/// are decorated with needs_scarce_handles (support/applies.hpp).
class no_descriptors_left {
public:
  explicit no_descriptors_left(std::size_t = 0) {
    throw std::runtime_error("Windows does not limit handles");
  }
};

}  // namespace ringbell::test
