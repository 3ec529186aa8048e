// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace ringbell::bench {

/// Where the two processes of a link run: each bound to a processor of its own, or both to one.
enum class placement : std::uint8_t { two, one };

/// The processors that this process was allowed to use when it was first asked: the first, and
/// another one, which is -1 when there is none.
struct processors {
  int first = 0;
  int second = -1;
  static const processors& allowed();
};

/// Binds this process. Throws the system's error.
void pin_parent();
void pin_child(placement where);
/// Undoes it.
void unpin();

/// While one exists, threads that a library makes may run on either processor, where there are to
/// be two; the thread that makes them is bound again afterwards.
class threads_unbound {
public:
  threads_unbound(placement where, bool child) : where_(where), child_(child) {
    if (where == placement::two) unpin();
  }
  threads_unbound(const threads_unbound&) = delete;
  threads_unbound& operator=(const threads_unbound&) = delete;
  ~threads_unbound() {
    if (where_ == placement::two) child_ ? pin_child(where_) : pin_parent();
  }

private:
  placement where_;
  bool child_;
};

}  // namespace ringbell::bench
