// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

#include <cstdint>

namespace ringbell {

/// Whether a loop, or a channel of Asio's, polls its active rings for a moment before it sleeps.
/// `adaptive` learns per channel whether that pays. A channel whose two sides are bound to one and
/// the same processor is never polled, whatever the policy. `automatic` reads RINGBELL_SPIN
/// (`adaptive`, `none`, `always`), else is adaptive.
enum class spin_policy : std::uint8_t { automatic, adaptive, none, always };

}  // namespace ringbell
