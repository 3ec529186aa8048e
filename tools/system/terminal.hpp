// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "top/screen.hpp"

#include <initializer_list>
#include <string_view>

namespace ringbell::tool {

/// The terminal on standard input and output, as a program wants it that fills the screen: keys
/// come as they are pressed, unseen; the screen is another one than the shell's; the cursor is
/// hidden. Destruction brings back what was there, and so does a crash. At most one at a time.
class terminal {
public:
  /// Whether both standard input and output are one.
  static bool there() noexcept;
  /// Throws the system's error.
  terminal();
  terminal(const terminal&) = delete;
  terminal& operator=(const terminal&) = delete;
  ~terminal();

  /// The signals that have a meaning for such a program, and which. A terminal that changes its
  /// size sends one where there is one for that.
  static std::initializer_list<int> signals() noexcept;
  enum class meaning { leave, end, suspend, draw_again };
  static meaning meaning_of(int signal) noexcept;

  /// Gives the terminal back for as long as this process is stopped.
  void suspend();
  top::screen_size size() const noexcept;
  /// Blocks until the terminal has taken it. Throws the system's error.
  void write(std::string_view text) const;

private:
  void enter();
};

}  // namespace ringbell::tool
