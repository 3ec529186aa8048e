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

/// A mechanism in which a loop of this build can sleep.
struct reactor_kind {
  loop_backend backend;
  std::string_view name;  ///< the name() of its reactors, and the value in RINGBELL_LOOP
  /// Returns null when it does not work here; `why_not` may then say why, for users.
  std::unique_ptr<reactor> (*make)(std::error_code& error, std::string& why_not);
};

/// All kinds of this build, in the order in which they are tried when none is requested. Each
/// system has its own definition, in a file reactors_*.cpp that the build chooses.
std::span<const reactor_kind> reactor_kinds() noexcept;

/// Makes the requested reactor. For `automatic` this is the one that RINGBELL_LOOP names, or else
/// the first that works. `reason` then says which it is, with which features, and why. Throws
/// std::system_error as the constructor of `loop` does.
std::unique_ptr<reactor> choose_reactor(loop_backend wanted, std::string& reason);

}  // namespace ringbell::detail
