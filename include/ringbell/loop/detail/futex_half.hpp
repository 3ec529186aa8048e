// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/ring/layout.hpp>
#include <ringbell/sys/futex.hpp>

#include <atomic>
#include <bit>

namespace ringbell::detail {

/// The half of a published index that a futex sleeper compares: the low 32 bits.
inline const sys::futex_word& futex_half(const std::atomic<ring::position>& index) noexcept {
  static_assert(std::endian::native == std::endian::little);
  return *reinterpret_cast<const sys::futex_word*>(&index);
}

}  // namespace ringbell::detail
