// SPDX-License-Identifier: BSL-1.0
#include "advice.hpp"

#include "sys/posix/unix_address.hpp"

namespace ringbell::sys::advice {

#define RINGBELL_BAD_NAME(most)                                                                                                      \
  "that service name or path cannot be used; give 1 to 64 of letters, digits, '.', '_', '-', or the path of a socket: at most " most \
  " bytes, in an existing folder where no other file has that name"
const char* const bad_name =
    max_socket_path == 107 ? RINGBELL_BAD_NAME("107") : RINGBELL_BAD_NAME("103");
#undef RINGBELL_BAD_NAME
static_assert(max_socket_path == 107 || max_socket_path == 103);
const char* const no_server =
    "no server listens under that name; start it, or check the name, the user and $XDG_RUNTIME_DIR on both sides, which programs with "
    "set-user-id or file capabilities do not look at";
const char* const refused_bell =
    "the two sides have no kind of bell in common; allow one on both that both systems have, such as 'socket'";
const char* const unsafe_directory =
    "the place of this user's services is not safe: the folder, or the one around it, belongs to another user, is a link, or is open to "
    "others, or another user's server listens there; set $XDG_RUNTIME_DIR to a folder of your own with mode 0700, or give the path of a "
    "socket instead of a name";

}  // namespace ringbell::sys::advice
