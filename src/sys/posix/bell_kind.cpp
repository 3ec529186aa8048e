// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/bell.hpp>

namespace ringbell::sys {

const char* name_of(bell_kind kind) noexcept {
  switch (kind) {
    case bell_kind::eventfd: return "eventfd";
    case bell_kind::socket: return "socket";
    case bell_kind::futex: return "futex";
  }
  return "unknown";
}

}  // namespace ringbell::sys
