// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

namespace ringbell::bench {

/// iox-roudi, which every process that uses iceoryx needs.
class iceoryx_daemon {
public:
  /// Starts it, once, in a folder of its own and with memory for the suite's sizes; it ends in
  /// order when this program ends, or dies. Throws when it does not come up, as it does when
  /// another one runs.
  static void start();
  /// Why it cannot be started; empty when it can.
  static std::string obstacle();
};

}  // namespace ringbell::bench
