// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <cstdint>

namespace ringbell::sys {

enum class object_type { other, section, event };

/// What kind of kernel object a handle of this process is of; `other` when it is none. The object
/// is not touched, and no right to it is needed.
object_type type_of(native_handle h) noexcept;

/// The rights that a handle of this process has; 0 when it is none.
std::uint32_t rights_of(native_handle h) noexcept;

/// What a peer gets of an object of this type, and no more: to read memory, to set an event. 0 for
/// what is never handed over.
std::uint32_t rights_for_peer(object_type type) noexcept;

}  // namespace ringbell::sys
