// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/result.hpp>
#include <ringbell/sys/peer_identity.hpp>

#include <string>
#include <string_view>

namespace ringbell::sys {

/// The socket path of a service. A name that contains a slash is already a path, and is returned
/// unchanged.
///
/// Any other name consists of 1 to 64 letters, digits, `.`, `_` and `-`, does not start with a dot
/// and does not end in `.lock`. Its socket is in the user's own folder:
/// `$XDG_RUNTIME_DIR/ringbell`, or else `/run/ringbell` for root (macOS, BSD: `/var/run/ringbell`),
/// or else `ringbell-UID` in the temporary directory (`$TMPDIR`, or else `/tmp`). A variable is
/// used only when it holds an absolute path, and never in a program with set-user-id, set-group-id
/// or file capabilities.
///
/// On Windows a path is the name of a pipe (as `//./pipe/NAME`, with backslashes) of up to 256
/// characters, and the service `name` of a user has the pipe `ringbell-SID-name`.
///
/// Errors: `errc::bad_name` when the name is none of these, or the path does not fit a socket
/// address (107 bytes; macOS, BSD: 103).
/// Thread-safety: as getenv's.
result<std::string> service_path(std::string_view name);

/// Creates the folder of a service name (mode 0700) when it is missing. Nothing is created for an
/// explicit path, nor in a place that is not safe. On Windows there are no folders.
/// Errors: `errc::bad_name` as `service_path`; `errc::unsafe_directory` when the folder belongs to
/// another user, is a link or not a folder, or is open to others; the same when the folder around
/// it belongs to a user other than this one and root, or when others may rename its entries (they
/// may write to it, and it is not sticky); otherwise the system's.
/// Thread-safety: as getenv's.
std::error_code prepare_service_folder(std::string_view name);

/// Whether a client may look for the name in that folder. It checks what `prepare_service_folder`
/// checks, but creates nothing. Every explicit path is accepted.
/// Errors: those of `prepare_service_folder`; `errc::no_server` when the folder, or the one around
/// it, does not exist.
/// Thread-safety: as getenv's.
std::error_code check_service_folder(std::string_view name);

/// Whether the server that a client found is one that the name stands for: a server of this user or
/// of root (Windows: of LocalSystem). An explicit path stands for any server that listens there.
/// Errors: `errc::unsafe_directory` when the server is another user's.
std::error_code check_server(std::string_view name, const peer_identity& server);

/// Text for messages: the folder of this user's service names, the reason why it is this one, and
/// what is wrong with it. An example is: /tmp/ringbell-7 ($XDG_RUNTIME_DIR is not set;
/// /tmp/ringbell-7 belongs to user 8 and has mode 0777: expected user 7 and mode 0700).
std::string describe_service_folder();
/// Text for messages: the name in quotes and, unless it is a path, that folder.
std::string describe_service(std::string_view name);

}  // namespace ringbell::sys
