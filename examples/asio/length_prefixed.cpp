// SPDX-License-Identifier: BSL-1.0
// Protobuf messages on a stream of bytes: each message follows its length, which is four bytes, the
// most significant one first. The functions are templates, and serve TCP and shared memory by the
// same code:
//
//     length_prefixed serve PORT NAME         serves both; port 0 lets the system choose; it is
//                                             printed
//     length_prefixed ask NAME ITEM...        asks over shared memory how many of each item there
//                                             are
//     length_prefixed ask-tcp PORT ITEM...    the same over TCP
#include <asio.hpp>

#include <ringbell/asio.hpp>

#include <google/protobuf/message_lite.h>

#include <array>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <functional>
#include <map>
#include <stdexcept>
#include <string>
#include <utility>

#include "inventory.pb.h"

namespace {

using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
using google::protobuf::MessageLite;

constexpr std::size_t longest_message = 64 * 1024;

/// Reads a message. The result is false when the stream has ended and no further message begins.
/// The length is checked before memory is allocated, because the peer may send any four bytes.
template <class Stream>
awaitable<bool> read_message(Stream& from, MessageLite& message) {
  std::array<unsigned char, 4> prefix;
  asio::error_code error;
  const std::size_t n = co_await asio::async_read(from, asio::buffer(prefix),
                                                  asio::redirect_error(use_awaitable, error));
  if (error == asio::error::eof && n == 0) co_return false;
  if (error) throw asio::system_error(error);
  std::uint32_t length = 0;
  for (const unsigned char byte : prefix) length = length << 8 | byte;
  if (length > longest_message)
    throw std::length_error("a message of " + std::to_string(length) +
                            " bytes came; the limit is " + std::to_string(longest_message));
  std::string bytes(length, '\0');
  co_await asio::async_read(from, asio::buffer(bytes), use_awaitable);
  if (!message.ParseFromString(bytes))
    throw std::invalid_argument("not a message of type " + message.GetTypeName());
  co_return true;
}

template <class Stream>
awaitable<void> write_message(Stream& to, const MessageLite& message) {
  const std::string bytes = message.SerializeAsString();
  if (bytes.size() > longest_message) throw std::length_error("the message is too long");
  std::array<unsigned char, 4> prefix;
  for (std::size_t i = 0; i < prefix.size(); ++i)
    prefix[i] = static_cast<unsigned char>(bytes.size() >> 8 * (prefix.size() - 1 - i));
  const std::array<asio::const_buffer, 2> both{asio::buffer(prefix), asio::buffer(bytes)};
  co_await asio::async_write(to, both, use_awaitable);
}

template <class Stream>
awaitable<void> session(Stream client) {
  static const std::map<std::string, std::int64_t, std::less<>> shelves{{"bell", 12}, {"ring", 7}};
  inventory::Query query;
  while (co_await read_message(client, query)) {
    inventory::Stock stock;
    for (const std::string& name : query.names()) {
      const auto found = shelves.find(name);
      inventory::Stock::Item& item = *stock.add_items();
      item.set_name(name);
      item.set_count(found == shelves.end() ? 0 : found->second);
    }
    co_await write_message(client, stock);
  }
}

/// A session that fails ends; the others go on.
void session_ended(std::exception_ptr error) {
  try {
    if (error) std::rethrow_exception(error);
  } catch (const std::exception& e) {
    std::fprintf(stderr, "a session ended: %s\n", e.what());
  }
}

template <class Acceptor>
awaitable<void> serve(Acceptor acceptor) {
  for (;;)
    asio::co_spawn(acceptor.get_executor(), session(co_await acceptor.async_accept(use_awaitable)),
                   session_ended);
}

template <class Stream>
awaitable<void> ask(Stream server, int count, char** names) {
  inventory::Query query;
  for (int i = 0; i < count; ++i) query.add_names(names[i]);
  co_await write_message(server, query);
  inventory::Stock stock;
  if (!co_await read_message(server, stock)) throw std::runtime_error("the server has gone");
  for (const inventory::Stock::Item& item : stock.items())
    std::printf("%s %lld\n", item.name().c_str(), static_cast<long long>(item.count()));
}

awaitable<void> ask_shared_memory(std::string name, int count, char** names) {
  ringbell::asio_stream server = co_await ringbell::async_connect_stream(
      co_await asio::this_coro::executor, std::move(name), use_awaitable);
  co_await ask(std::move(server), count, names);
}

awaitable<void> ask_tcp(asio::ip::port_type port, int count, char** names) {
  tcp::socket server(co_await asio::this_coro::executor);
  const tcp::endpoint at(asio::ip::address_v4::loopback(), port);
  co_await server.async_connect(at, use_awaitable);
  co_await ask(std::move(server), count, names);
}

/// What ends a task of main() ends the program.
void task_ended(std::exception_ptr error) {
  if (error) std::rethrow_exception(error);
}

}  // namespace

int main(int argc, char** argv) try {
  asio::io_context context(1);
  asio::signal_set signals(context);
  const std::string what = argc > 2 ? argv[1] : "";
  const auto port = static_cast<asio::ip::port_type>(argc > 2 ? std::atoi(argv[2]) : 0);
  if (argc == 4 && what == "serve") {
    signals.add(SIGINT);
    signals.add(SIGTERM);
    signals.async_wait([&](const asio::error_code&, int) { context.stop(); });
    tcp::acceptor sockets(context, {asio::ip::address_v4::loopback(), port});
    std::printf("%u\n", sockets.local_endpoint().port());
    std::fflush(stdout);
    asio::co_spawn(context, serve(std::move(sockets)), task_ended);
    asio::co_spawn(context, serve(ringbell::asio_stream_acceptor(context, argv[3])), task_ended);
  } else if (what == "ask") {
    asio::co_spawn(context, ask_shared_memory(argv[2], argc - 3, argv + 3), task_ended);
  } else if (what == "ask-tcp") {
    asio::co_spawn(context, ask_tcp(port, argc - 3, argv + 3), task_ended);
  } else {
    std::fprintf(stderr, "usage: length_prefixed serve PORT NAME | ask NAME ITEM... | "
                         "ask-tcp PORT ITEM...\n");
    return 2;
  }
  context.run();
} catch (const std::exception& error) {
  std::fprintf(stderr, "length_prefixed: %s\n", error.what());
  return 1;
}
