// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "top_screen.hpp"

#include <string_view>

namespace ringbell::tool {

/// The terminal on standard input and output, as a program wants it that fills the screen: keys come as they are pressed, unseen; the
/// screen is another one than the shell's; the cursor is hidden. Destruction brings back what was there, and so does a crash.
/// At most one at a time.
class terminal {
public:
  /// Whether both standard input and output are one.
  static bool there() noexcept;
  /// Throws the system's error.
  terminal();
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;
  ~terminal();

  /// Gives the terminal back for as long as this process is stopped.
  void suspend();
  top::screen_size size() const noexcept;
  /// Blocks until the terminal has taken it. Throws the system's error.
  void write(std::string_view text) const;

private:
  void enter();
};

}  // namespace ringbell::tool
