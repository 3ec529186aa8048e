// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstdint>

namespace ringbell {

/// Whether a loop, or a channel in Asio, polls its active rings for a moment before it sleeps.
/// `adaptive` learns for each channel whether that pays. `automatic` reads the environment variable
/// RINGBELL_SPIN (`adaptive`, `none` or `always`), and is adaptive when it is not set. A channel
/// whose two sides are bound to the same processor is never polled, whatever the policy.
enum class spin_policy : std::uint8_t { automatic, adaptive, none, always };

}  // namespace ringbell
