// SPDX-License-Identifier: BSL-1.0
#include "reactors.hpp"

#include <array>

namespace ringbell::detail {

std::span<const reactor_kind> reactor_kinds() noexcept {
  static constexpr std::array kinds{
      reactor_kind{loop_backend::kqueue, "kqueue",
                   [](std::error_code& error, std::string&) { return make_kqueue_reactor(error); }},
  };
  return kinds;
}

loop_backend plain_backend() noexcept { return loop_backend::kqueue; }

}  // namespace ringbell::detail
