// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/claim.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/task.hpp>

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

namespace ringbell::tool {

// Standard input and output, awaited without touching their O_NONBLOCK: that flag belongs to the open file description, so it is
// shared with the shell and with every other process that has it, and outlives this one.

/// Standard input: a file, a pipe, a terminal, a socket or a device.
class standard_input {
public:
  standard_input() noexcept;
  /// Waits until `read` will not block. A file never blocks for long; then it only gives others their turn.
  task<> ready();
  /// Reads what there is into the claim, and commits it; an empty claim goes back. False at the end of the input. Throws the system's
  /// error as std::system_error.
  bool read(claim space);
  /// The same into memory of our own, which is not empty: how many bytes came, which can be 0; nothing at the end of the input.
  std::optional<std::size_t> read(std::span<std::byte> into);

private:
  bool pollable_;
};

/// Standard output.
///
/// A pipe or a terminal is opened once more, as a description of our own that may be non-blocking. A socket has a flag on each send. A file
/// is just written. What is left (a pipe that may not be opened) is polled and then written in pieces of PIPE_BUF, which a pipe that
/// polls writable takes without blocking.
class standard_output {
public:
  standard_output() noexcept;
  /// Writes all of it. Throws the system's error as std::system_error.
  task<> write(std::span<const std::byte> bytes);
  /// Closes standard output, so that its reader sees the end. Throws what the system has to report only then.
  void close();

private:
  enum class way : std::uint8_t { own_description, socket, direct, polled };
  /// How many bytes went, or -1 with errno.
  long write_some(std::span<const std::byte> bytes) const noexcept;

  way way_ = way::direct;
  sys::handle own_;
};

}  // namespace ringbell::tool
