// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/peer_identity.hpp>

#include <string>
#include <string_view>

namespace ringbell::sys {

/// The socket path of a service. A name that contains a slash is a path already and is returned as
/// it is. Any other name (1 to 64 of letters, digits, `.`, `_`, `-`, not starting with a dot, not
/// ending in `.lock`) lives in the user's own folder: `$XDG_RUNTIME_DIR/ringbell`, else
/// `/run/ringbell` for root (macOS, BSD: `/var/run/ringbell`), else `ringbell-UID` in the temporary
/// directory (`$TMPDIR`, else `/tmp`). A variable counts only when it holds an absolute path, and
/// in no program with set-user-id, set-group-id or file capabilities.
/// Errors: `errc::bad_name` when the name is none of that, or the path does not fit a socket
/// address (107 bytes; macOS, BSD: 103).
///
/// On Windows a path is the name of a pipe (as `//./pipe/NAME`, with backslashes), up to 256
/// characters, and the service `name` of a user has the pipe `ringbell-SID-name`.
/// Thread-safety: as getenv's.
result<std::string> service_path(std::string_view name);

/// Creates the folder of a service name (mode 0700) when it is missing; a folder of an explicit
/// path is left alone. Nothing is created in a place that is not safe. On Windows there are no
/// folders.
/// Errors: `errc::bad_name`, as `service_path`; `errc::unsafe_directory` when the folder belongs to
/// another user, is a link or no folder, or is open to others, or when the folder around it belongs
/// to another user than this one and root, or others may rename what is in it (it is writable for
/// them, and not sticky); else the system's.
std::error_code prepare_service_folder(std::string_view name);

/// Whether a client may look for the name there: as `prepare_service_folder`, but creates nothing.
/// Safe for every explicit path.
/// Errors: as `prepare_service_folder`'s; `errc::no_server` when the folder, or the one around it,
/// is not there.
std::error_code check_service_folder(std::string_view name);

/// Whether the server that a client found there is one that the name stands for: this user's own or
/// root's (Windows: LocalSystem's). An explicit path stands for any server that listens there.
/// Errors: `errc::unsafe_directory` when it is another user's.
std::error_code check_server(std::string_view name, const peer_identity& server);

/// For messages: the folder of this user's service names, why it is that one, and what is wrong
/// with it. Such as: /tmp/ringbell-7 ($XDG_RUNTIME_DIR is not set; /tmp/ringbell-7 belongs to user
/// 8 and has mode 0777: expected user 7 and mode 0700).
std::string describe_service_folder();
/// For messages: the name in quotes and, unless it is a path, that folder.
std::string describe_service(std::string_view name);

}  // namespace ringbell::sys
