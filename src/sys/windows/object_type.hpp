// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/platform.hpp>

#include <cstdint>

namespace ringbell::sys {

enum class object_type { other, section, event };

/// The type of the kernel object to which a handle of this process refers; `other` when the handle
/// is not valid. The object is not touched, and no right to it is needed.
object_type type_of(native_handle h) noexcept;

/// The rights that a handle of this process has; 0 when the handle is not valid.
std::uint32_t rights_of(native_handle h) noexcept;

/// The rights that a peer gets to an object of this type: to read memory, to set an event. 0 for an
/// object that is never sent.
std::uint32_t rights_for_peer(object_type type) noexcept;

}  // namespace ringbell::sys
