// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/claim.hpp>
#include <ringbell/coro/task.hpp>

#include <cstddef>
#include <memory>
#include <optional>
#include <span>

namespace ringbell::tool {

// Standard input and output, awaited without touching their O_NONBLOCK: that flag belongs to the
// open file description, so it is shared with the shell and with every other process that has it,
// and outlives this one. On Windows, where one cannot wait for pipes and consoles, a thread of its
// own reads, and one writes.

enum class standard_stream { input, output, errors };
bool is_terminal(standard_stream which) noexcept;

/// To be called first. Those that are closed would be taken by the next thing opened, which then
/// gets the output meant for people: so they are filled with input that is at its end, output that
/// fails when it is written, errors that go nowhere. From then on a reader that has gone is an
/// error of writing, reported as any other; on Windows nothing is translated.
void prepare_standard_streams() noexcept;

/// Standard input: a file, a pipe, a terminal, a socket or a device.
class standard_input {
public:
  standard_input();
  /// Waits until `read` will not block. A file never blocks for long; then it only gives others
  /// their turn.
  task<> ready();
  /// Reads what there is into the claim, and commits it; an empty claim goes back. False at the end
  /// of the input. Throws the system's error as std::system_error.
  bool read(claim space);
  /// The same into memory of our own, which is not empty: how many bytes came, which can be 0;
  /// nothing at the end of the input.
  std::optional<std::size_t> read(std::span<std::byte> into);

private:
  struct state;
  std::shared_ptr<state> state_;
};

/// Standard output.
///
/// A pipe or a terminal is opened once more, as a description of our own that may be non-blocking.
/// A socket has a flag on each send. A file is just written. What is left (a pipe that may not be
/// opened) is polled and then written in pieces of PIPE_BUF, which a pipe that polls writable takes
/// without blocking. (On Windows: a file is just written, for the rest see above.)
class standard_output {
public:
  standard_output();
  /// Writes all of it. Throws the system's error as std::system_error.
  task<> write(std::span<const std::byte> bytes);
  /// Closes standard output, so that its reader sees the end. Throws what the system has to report
  /// only then.
  void close();

private:
  struct state;
  std::shared_ptr<state> state_;
};

}  // namespace ringbell::tool
