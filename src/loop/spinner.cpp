// SPDX-License-Identifier: BSL-1.0
#include <ringbell/loop/detail/spinner.hpp>

#include "variable.hpp"

#include <algorithm>

namespace ringbell::detail {

namespace {

spin_policy chosen_spin(spin_policy wanted) {
  if (wanted != spin_policy::automatic) return wanted;
  const std::string_view value = variable("RINGBELL_SPIN");
  if (value.empty() || value == "adaptive") return spin_policy::adaptive;
  if (value == "none") return spin_policy::none;
  if (value == "always") return spin_policy::always;
  bad_variable("RINGBELL_SPIN", value, "adaptive, none or always");
}

}  // namespace

spinner::spinner(spin_policy wanted) : policy_(chosen_spin(wanted)) {}

void spinner::measure() noexcept {
  if (policy_ == spin_policy::adaptive && limit_.count() == 0)
    limit_ = std::min(sys::park_cost(), tuning::longest_spin);
}

}  // namespace ringbell::detail
