// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ostream>

#include "support/asio.hpp"

namespace ringbell::test {

/// What a handler was called with, and how often.
struct outcome {
  int calls = 0;
  net_error_code error;
  void operator()(net_error_code e) {
    ++calls;
    error = e;
  }
  /// A handler that fills this object. (Not std::ref, which Boost 1.81 cannot take.)
  auto handler() {
    return [this](net_error_code e) { (*this)(e); };
  }
  bool aborted() const { return calls == 1 && error == net::error::operation_aborted; }
  bool succeeded() const { return calls == 1 && !error; }
};
inline std::ostream& operator<<(std::ostream& to, const outcome& o) {
  return to << o.calls << " calls, " << o.error.message();
}

}  // namespace ringbell::test
