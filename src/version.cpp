// SPDX-License-Identifier: BSL-1.0
#include <ringbell/version.hpp>

namespace ringbell {

std::string_view version() noexcept { return RINGBELL_VERSION; }

}  // namespace ringbell
