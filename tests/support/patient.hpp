// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/connect.hpp>

#include "support/patience.hpp"

namespace ringbell::test {

/// For a client whose server another process has yet to start.
inline connect_options patient() {
  connect_options options;
  options.timeout = patience;
  return options;
}

}  // namespace ringbell::test
