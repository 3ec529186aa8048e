// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>

#include <string>
#include <string_view>

namespace ringbell::sys {

/// The socket path of a service. A name that contains a slash is a path already and is returned as it is. Any other name (1 to 64
/// of letters, digits, `.`, `_`, `-`, not starting with a dot, not ending in `.lock`) lives in the user's own folder:
/// `$XDG_RUNTIME_DIR/ringbell`, else `/run/ringbell` for root (macOS, BSD: `/var/run/ringbell`), else `ringbell-UID` in the temporary directory (`$TMPDIR`, else
/// `/tmp`). A variable counts only when it holds an absolute path, and not in a set-user-id program.
/// Errors: `errc::bad_name` when the name is none of that, or the path does not fit a socket address (107 bytes; macOS, BSD: 103).
///
/// On Windows a path is what begins with `\\.\pipe\`, up to 256 characters and no further backslash, and the service `name` of a user lives at
/// `\\.\pipe\ringbell-SID-name`.
/// Thread-safety: as getenv's.
result<std::string> service_path(std::string_view name);

/// Creates the folder of a service name (mode 0700) when it is missing; a folder of an explicit path is left alone. On Windows there are no folders.
/// Errors: `errc::bad_name`, as `service_path`; `errc::unsafe_directory` when the folder belongs to another user, is a link or no
/// folder, or is open to others; else the system's.
std::error_code prepare_service_folder(std::string_view name);

}  // namespace ringbell::sys
