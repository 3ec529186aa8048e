// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>
#include <ringbell/sys/limit.hpp>

#include <cerrno>
#include <cstdio>
#include <string>
#include <string_view>
#include <system_error>

namespace ringbell::tool {

/// How the program ends. Part of its interface: listed by --help and in docs/command-line.md.
enum exit_code : int {
  exit_ok = 0,
  exit_failure = 1,
  exit_usage = 2,
  exit_no_service = 3,
  exit_refused = 4,
  exit_peer_died = 5,
  exit_no_answer = 6,
  exit_missing = 7,
  exit_failed_call = 8,
  exit_signal = 128,  // plus the signal's number
};

inline constexpr const char* exit_codes_help = R"(Exit codes:
  0  success
  1  failure of the system (out of memory, descriptors or disk, output that cannot be written)
  2  usage: an option, name or size that cannot be used
  3  no such service: no server listened there in time
  4  refused by the server or by file permissions, or the folder of service names is not safe
  5  the peer died or broke the protocol
  6  no answer in time
  7  doctor: something essential is missing
  8  call: the service answered with an error
  128+N  ended by signal N before there was anything to finish
)";

/// The one table of what each error is for a script; docs/command-line.md has it too, and a test
/// holds it.
inline int exit_code_of(const std::error_code& error) noexcept {
  // Without a default case: the compiler names an enumerator that was forgotten.
  if (error.category() == category()) switch (static_cast<errc>(error.value())) {
      case errc::bad_name:
      case errc::bad_ring_size:
      case errc::message_too_large: return exit_usage;
      case errc::no_server: return exit_no_service;
      case errc::refused_version:
      case errc::refused_unauthorized:
      case errc::refused_too_many:
      case errc::refused_too_many_of_user:
      case errc::refused_ring_size:
      case errc::refused_bell:
      case errc::refused_stopping:
      case errc::refused_malformed:
      case errc::refused_no_resources:
      case errc::refused_kind:
      case errc::refused_in_flight:
      case errc::refused_bytes:
      case errc::dropped_idle:
      case errc::unsafe_directory: return exit_refused;
      case errc::peer_closed:
      case errc::end_of_stream:
      case errc::bad_peer:
      case errc::bad_region: return exit_peer_died;
      case errc::timed_out: return exit_no_answer;
      case errc::no_such_method:
      case errc::handler_failed: return exit_failed_call;
      case errc::name_in_use:
      case errc::not_supported:
      case errc::cancelled:
      case errc::would_block:
      case errc::busy:
      case errc::closed:
      case errc::wrong_loop: return exit_failure;
    }
  return error == std::errc::permission_denied || error == std::errc::operation_not_permitted
             ? exit_refused
             : exit_failure;
}

/// Says on standard error what went wrong, in one line, whatever came from outside into the text.
inline void complain(std::string_view text) {
  constexpr std::string_view prefix = "ringbell: ";
  if (text.starts_with(prefix)) text.remove_prefix(prefix.size());
  std::string line(prefix);
  for (const char c : text) line += static_cast<unsigned char>(c) < ' ' || c == '\x7f' ? '?' : c;
  line += '\n';
  std::fwrite(line.data(), 1, line.size(), stderr);
}

inline int complain(const std::system_error& error) {
  complain(std::string_view(error.what()));
  return exit_code_of(error.code());
}

/// Throws for `errno`.
[[noreturn]] inline void throw_errno(int error, const std::string& doing) {
  throw sys::failure(std::error_code(error, std::generic_category()), doing);
}

/// Writes a line to standard output at once, for whoever waits for it.
/// Errors: throws the system's.
inline void print_line(const std::string& text) {
  if (std::puts(text.c_str()) < 0 || std::fflush(stdout) != 0)
    throw_errno(errno, "writing standard output");
}

}  // namespace ringbell::tool
