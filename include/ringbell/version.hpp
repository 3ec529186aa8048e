// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string_view>

/// The version of these headers, as numbers and as text. `ringbell::version()` is that of the
/// library that runs.
#define RINGBELL_VERSION_MAJOR 0
#define RINGBELL_VERSION_MINOR 1
#define RINGBELL_VERSION_PATCH 0
#define RINGBELL_VERSION "0.1.0"

namespace ringbell {

/// The version of the library that runs, like "0.1.0". A shared library may be a later patch than
/// the headers that the program was compiled with. One of another minor version does not link.
/// Thread-safety: any thread.
[[nodiscard]] std::string_view version() noexcept;

}  // namespace ringbell
