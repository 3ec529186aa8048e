// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/process.hpp"
#include "support/variable.hpp"

#include <string>

namespace ringbell::test {

/// For as long as this lives, services without a path have a folder of the test's own.
class own_service_names {
public:
  own_service_names() { set_variable("XDG_RUNTIME_DIR", folder_.path().c_str()); }
  own_service_names(const own_service_names&) = delete;
  own_service_names& operator=(const own_service_names&) = delete;
  ~own_service_names() { unset_variable("XDG_RUNTIME_DIR"); }
  bool can_be_listed() const { return true; }
  std::string place() const { return folder_.path(); }

private:
  temporary_folder folder_;
};

}  // namespace ringbell::test
