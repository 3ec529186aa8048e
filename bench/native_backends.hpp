// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/loop/loop.hpp>

#include <system_error>
#include <utility>
#include <vector>

namespace ringbell::bench {

/// What a native loop can run on here, with its name.
inline std::vector<std::pair<loop_backend, const char*>> native_backends() {
  std::vector<std::pair<loop_backend, const char*>> all;
  for (const auto& [backend, name] :
       {std::pair(loop_backend::io_uring, "io_uring"), std::pair(loop_backend::epoll, "epoll")}) {
    try {
      loop_options options;
      options.backend = backend;
      const loop tried(options);
      all.emplace_back(backend, name);
    } catch (const std::system_error&) {
      // It does not work here.
    }
  }
  return all;
}

}  // namespace ringbell::bench
