// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "reactor.hpp"

#include <ringbell/loop/loop.hpp>

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <system_error>

namespace ringbell::detail {

/// A mechanism that this build can sleep in.
struct reactor_kind {
  loop_backend backend;
  std::string_view name;  ///< of the reactors that it makes, and in RINGBELL_LOOP
  /// Null when it cannot work here; `why_not` may then say why, for people.
  std::unique_ptr<reactor> (*make)(std::error_code& error, std::string& why_not);
};

/// All of this build, in the order in which they are tried when none is asked for. Which these are
/// is a file per system, reactors_*.cpp: the build picks it.
std::span<const reactor_kind> reactor_kinds() noexcept;

/// Makes the reactor that is wanted; for `automatic`, the one that RINGBELL_LOOP names, else the
/// first that works. `reason` then says which it is, with which features, and why. Throws
/// std::system_error as the constructor of `loop` does.
std::unique_ptr<reactor> choose_reactor(loop_backend wanted, std::string& reason);

}  // namespace ringbell::detail
