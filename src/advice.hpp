// SPDX-License-Identifier: BSL-1.0
#pragma once

/// The parts of error messages that advise the user and differ between the systems.
namespace ringbell::sys::advice {

extern const char* const bad_name;
extern const char* const no_server;
extern const char* const refused_bell;
extern const char* const unsafe_directory;

}  // namespace ringbell::sys::advice
