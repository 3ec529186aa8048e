// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "system/standard_streams.hpp"

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/service/call_error.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/method.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

namespace ringbell::tool {

namespace {

using clock = loop::clock;

// Several of them fit the ring, and what may be under way: so both sides work at the same time.
constexpr std::size_t part_size = 16 << 10;
// No message is longer.
constexpr std::size_t longest_request = std::size_t{1} << 30;

/// Nobody means to type the request.
bool on_terminal(const call_command& command) noexcept {
  return !command.stream && !command.data && is_terminal(standard_stream::input);
}

/// The request is longer than a message may be.
class too_long : public std::runtime_error {
public:
  using runtime_error::runtime_error;
};

task<std::vector<std::byte>> whole_input() {
  standard_input in;
  std::vector<std::byte> bytes;
  std::size_t size = 0;
  for (;;) {
    if (bytes.size() - size < part_size) bytes.resize(std::max(2 * bytes.size(), 4 * part_size));
    co_await in.ready();
    const auto n = in.read(std::span(bytes).subspan(size));
    if (!n) break;
    size += *n;
    if (size > longest_request)
      throw too_long(
          "standard input is longer than a message can be (1 GiB); --stream sends it in parts");
  }
  bytes.resize(size);
  co_return bytes;
}

/// One call, once connected.
class calling {
public:
  explicit calling(call_stream stream) : stream_(std::move(stream)) {}

  task<> run(bool stream_input) {
    if (!stream_input) {
      stream_.finish();
      task<> receiving = receive_all();
      co_await std::move(receiving);
      co_return;
    }
    // The service may answer before the end of the input, and then need not hear the rest.
    co_await when_any(receive_all(), send_all());
  }

private:
  task<> receive_all() {
    standard_output out;
    while (auto part = co_await stream_.read()) co_await out.write(part->bytes());
    const payload last = co_await stream_.reply();
    co_await out.write(last.bytes());
    out.close();
  }

  /// Ends only by a failure to read the input: what happens to the call, the receiving tells.
  task<> send_all() {
    standard_input in;
    std::vector<std::byte> buffer(part_size);
    for (;;) {
      co_await in.ready();
      const auto n = in.read(buffer);
      if (!n) {
        stream_.finish();
        break;
      }
      if (*n == 0) continue;
      const auto sent =
          co_await as_result(stream_.write(std::span<const std::byte>(buffer).first(*n)));
      if (!sent && sent.error() == errc::message_too_large) throw std::system_error(sent.error());
      if (!sent) break;
    }
    co_await sleep_until(clock::time_point::max());
  }

  call_stream stream_;
};

task<> call(loop& lp, const call_command& command) {
  std::vector<std::byte> request;
  if (!command.stream && !command.data && !on_terminal(command)) {
    task<std::vector<std::byte>> reading = whole_input();
    request = co_await std::move(reading);
  }
  const std::span<const std::byte> bytes =
      command.data ? std::as_bytes(std::span(*command.data)) : request;

  const clock::time_point begun = clock::now();
  client_options how;
  if (command.common.ring_bytes)
    how.connection.ring_bytes = how.connection.peer_ring_bytes = command.common.ring_bytes;
  if (command.timeout.count() != 0) how.connection.timeout = command.timeout;
  task<client> connecting = client::connect(lp, command.name, how);
  const client service = co_await std::move(connecting);

  call_options options;
  options.metadata = command.metadata;
  if (command.timeout.count() != 0)
    options.timeout = std::max<std::chrono::nanoseconds>(std::chrono::nanoseconds(1),
                                                         command.timeout - (clock::now() - begun));
  calling one(service.open(command.method, bytes, options));
  task<> running = one.run(command.stream);
  try {
    co_await std::move(running);
  } catch (const call_error&) {
    throw;
  } catch (const std::system_error& error) {
    if (error.code() == errc::message_too_large && !command.stream)
      throw too_long("the request has " + std::to_string(bytes.size()) + " bytes, and '" +
                     command.name + "' takes messages of " +
                     format_bytes(static_cast<double>(service.max_message())) +
                     " at most; --stream sends it in parts, if the method takes them");
    throw;
  }
}

/// What the service answered: its text, and its code.
std::string text_of(const call_command& command, const call_error& error) {
  const std::string who = "'" + command.name + "' answered '" + command.method_text + "' with ";
  // With our own errors the text is usually what the code says already.
  const bool own = error.code().category() == category();
  const bool more = !error.text().empty() && (!own || error.text() != error.code().message());
  const std::string text = more ? ": " + error.text() : std::string();
  std::string said;
  if (own)
    said = who + "an error: " + error.code().message() + text;
  else if (error.code().category() == handler_category())
    said = who + "error " + std::to_string(error.code().value()) + text;
  else
    said = who + "system error " + std::to_string(error.code().value()) + " (" +
           error.code().message() + ")" + text;
  if (on_terminal(command))
    said +=
        " (the request was empty, since standard input is a terminal: give --data TEXT, or '< FILE')";
  return said;
}

int exit_code_of_answer(const std::error_code& code) noexcept {
  if (code.category() != category()) return exit_failed_call;
  const int known = exit_code_of(code);
  return known == exit_refused || known == exit_no_answer ? known : exit_failed_call;
}

}  // namespace

int run_call(const call_command& command) {
  try {
    loop lp(command.common.for_loop());
    lp.run(call(lp, command));
    return exit_ok;
  } catch (const call_error& error) {
    if (error.code() != errc::timed_out || command.timeout.count() == 0) {
      complain(text_of(command, error));
      return exit_code_of_answer(error.code());
    }
  } catch (const too_long& error) {
    complain(error.what());
    return exit_usage;
  } catch (const std::system_error& error) {
    if (error.code() == errc::bad_peer) {
      complain(
          "'" + command.name +
          "' did not answer as a service does: a bare listener, such as that of 'ringbell echo' or 'ringbell pipe', is none; "
          "is it a ringbell::server?");
      return exit_peer_died;
    }
    if (error.code() != errc::timed_out || command.timeout.count() == 0) throw;
  }
  complain(
      "no answer from '" + command.name + "' to '" + command.method_text + "' within " +
      format_duration(command.timeout) +
      "; give --timeout more, or check that the service is not stuck, and that it is one (a bare listener may say nothing at all)");
  return exit_no_answer;
}

}  // namespace ringbell::tool
