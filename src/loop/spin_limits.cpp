// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/detail/spin_limits.hpp>

#include "variable.hpp"

#include <ringbell/sys/cpu.hpp>

#include <algorithm>

namespace ringbell::detail {

namespace {

// A park that was measured while the machine was busy must not make every spin long.
constexpr std::chrono::nanoseconds longest_spin = std::chrono::microseconds(200);

}  // namespace

spin_policy chosen_spin(spin_policy wanted) {
  if (wanted != spin_policy::automatic) return wanted;
  const std::string_view value = variable("RINGBELL_SPIN");
  if (value.empty() || value == "adaptive") return spin_policy::adaptive;
  if (value == "none") return spin_policy::none;
  if (value == "always") return spin_policy::always;
  bad_variable("RINGBELL_SPIN", value, "adaptive, none or always");
}

std::chrono::nanoseconds spin_limit() noexcept { return std::min(sys::park_cost(), longest_spin); }

}  // namespace ringbell::detail
