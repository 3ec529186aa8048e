// SPDX-License-Identifier: BSL-1.0
// ringbell's operations as senders, by the token of stdexec's Asio glue (asioexec).
#include "peer.hpp"

#include <exec/asio/use_sender.hpp>
#include <exec/start_detached.hpp>
#include <exec/task.hpp>
#include <stdexec/execution.hpp>

#include <array>
#include <chrono>
#include <exception>
#include <string>
#include <system_error>
#include <tuple>
#include <utility>

namespace {

using namespace ringbell;
using namespace ringbell::test::matrix;
namespace ex = stdexec;
using namespace std::chrono_literals;
inline constexpr auto& use_sender = exec::asio::use_sender;

/// Starts a sender in this thread, and runs the context until nothing is left. Returns how it
/// ended: "value", "stopped", or what its error says.
template <class Sender, class F>
std::string run(net::io_context& context, Sender sender, F with_value) {
  std::string ended = "not at all";
  exec::start_detached(std::move(sender) | ex::then([&](auto&&... values) {
                         with_value(std::move(values)...);
                         ended = "value";
                       }) |
                       ex::upon_error([&](std::exception_ptr e) noexcept {
                         try {
                           std::rethrow_exception(std::move(e));
                         } catch (const std::system_error& error) {
                           ended = error.code().message();
                         }
                       }) |
                       ex::upon_stopped([&]() noexcept { ended = "stopped"; }));
  context.restart();
  context.run_for(30s);
  return ended;
}

exec::task<void> conversation(asio_channel& client, asio_channel& server) {
  for (const std::string text : {"one", "two", "three"}) {
    co_await client.async_send(net::buffer(text), use_sender);
    const message m = co_await server.async_recv(use_sender);
    check(m.text() == text, "what a coroutine receives");
  }
}

}  // namespace

int main() {
  net::io_context context;
  const service_name messages, bytes;
  asio_channel server(context);
  asio_channel client(context);
  asio_listener listener(context, std::string(messages));
  check(run(context,
            ex::when_all(listener.async_accept(use_sender),
                         async_connect(context, std::string(messages), use_sender)),
            [&](asio_channel accepted, asio_channel connected) {
              server = std::move(accepted);
              client = std::move(connected);
            }) == "value",
        "accept and connect");
  check(run(context,
            ex::when_all(client.async_send(net::buffer("hello", 5), use_sender),
                         server.async_recv(use_sender)),
            [](const message& m) { check(m.text() == "hello", "the message"); }) == "value",
        "send and receive");
  check(run(context, ex::when_all(server.async_recv(use_sender), ex::just_stopped()),
            [](auto&&...) {}) == "stopped",
        "a receive that is stopped");
  // A task of stdexec goes on where its scheduler says: here in the thread that completes.
  check(run(context, ex::starts_on(ex::inline_scheduler(), conversation(client, server)), [] {}) ==
            "value",
        "a coroutine");

  asio_stream writer(context);
  asio_stream reader(context);
  asio_stream_acceptor acceptor(context, std::string(bytes));
  check(run(context,
            ex::when_all(acceptor.async_accept(reader, use_sender),
                         async_connect_stream(context, std::string(bytes), use_sender)),
            [&](asio_stream connected) { writer = std::move(connected); }) == "value",
        "streams connect");
  std::array<char, 5> back;
  check(run(context,
            ex::when_all(net::async_write(writer, net::buffer("bytes", 5), use_sender),
                         net::async_read(reader, net::buffer(back), use_sender)),
            [](std::size_t, std::size_t) {}) == "value",
        "write and read");
  check(std::string(back.data(), 5) == "bytes", "the bytes");

  writer.close();
  check(run(context, reader.async_read_some(net::buffer(back), use_sender), [](std::size_t) {}) ==
            net::error::make_error_code(net::error::eof).message(),
        "an error is an exception");
  note("channel, stream, accept, connect, when_all, stop, errors, exec::task");
}
