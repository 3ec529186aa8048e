// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/local_socket.hpp>

#include <doctest/doctest.h>

#include <string>
#include <system_error>

namespace ringbell::test {

/// A server's socket that nobody looks at: who connects gets no answer.
inline sys::local_listener silent_server(const std::string& path) {
  std::error_code error;
  sys::local_listener silent = sys::local_listener::bind(path, false, error);
  REQUIRE_FALSE(error);
  return silent;
}

}  // namespace ringbell::test
