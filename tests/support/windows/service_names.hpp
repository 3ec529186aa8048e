// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/process.hpp"

#include <ringbell/sys/service_path.hpp>

#include <string>

namespace ringbell::test {

/// Services without a path are the user's here: nobody else is to run any meanwhile.
class own_service_names {
public:
  /// Wine does not list pipes.
  bool can_be_listed() const {
    WIN32_FIND_DATAA found{};
    const HANDLE search = ::FindFirstFileA(R"(\\.\pipe\*)", &found);
    return search != INVALID_HANDLE_VALUE && ::FindClose(search);
  }
  std::string place() const {
    const std::string any = sys::service_path("x").value();
    return any.substr(0, any.size() - 1);
  }
};

}  // namespace ringbell::test
