// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdint>

namespace ringbell::handshake {

/// What the records of both rings are: messages, or pieces of a stream of bytes.
enum class record_kind : std::uint8_t { messages = 0, stream = 1 };

}  // namespace ringbell::handshake
