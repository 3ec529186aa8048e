// SPDX-License-Identifier: BSL-1.0
#include "loop/reactors.hpp"

#include <array>

namespace ringbell::detail {

// In place of src/loop/reactors_linux.cpp: the same, and kqueue over the shim for whoever asks for
// it.
std::span<const reactor_kind> reactor_kinds() noexcept {
  static constexpr std::array kinds{
      reactor_kind{loop_backend::io_uring, "io_uring",
                   [](std::error_code& error, std::string& why_not) {
                     return make_io_uring_reactor(error, why_not);
                   }},
      reactor_kind{loop_backend::epoll, "epoll",
                   [](std::error_code& error, std::string&) { return make_epoll_reactor(error); }},
      reactor_kind{loop_backend::kqueue, "kqueue",
                   [](std::error_code& error, std::string&) { return make_kqueue_reactor(error); }},
  };
  return kinds;
}

loop_backend plain_backend() noexcept { return loop_backend::epoll; }

}  // namespace ringbell::detail
