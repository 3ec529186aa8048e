// SPDX-License-Identifier: BSL-1.0
#include "advice.hpp"

namespace ringbell::sys::advice {

const char* const bad_name =
    "that service name or path cannot be used; give 1 to 64 of letters, digits, '.', '_', '-', or the path of a pipe: \\\\.\\pipe\\NAME, at most 256 characters";
const char* const no_server =
    "no server listens under that name; start it, or check the name and the user on both sides";
const char* const refused_bell =
    "the two sides have no kind of bell in common; allow one on both that both systems have, such as 'eventfd'";
const char* const unsafe_directory =
    "another user listens in the place of this user's services; end that program, or give the path of a pipe instead of a name";

}  // namespace ringbell::sys::advice
