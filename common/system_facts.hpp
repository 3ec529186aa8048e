// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <string>

namespace ringbell::tool {

/// Such as "Linux 6.18.0".
std::string kernel_release();
/// The processor's name for people; its architecture where the kernel does not say.
std::string cpu_model();
/// The first line of a file, "" when it cannot be read.
std::string first_line(const char* path);

}  // namespace ringbell::tool
