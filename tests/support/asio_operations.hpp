// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <algorithm>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <variant>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_scene.hpp"
#include "support/process.hpp"

// Every operation that there is, with any completion token. Each is a type, for TEST_CASE_TEMPLATE:
//
//   value_type            what its handler gets beside the error; std::monostate for nothing
//   start(bench, token)   begins it
//   block(bench)          sees to it that it has to wait
//   allow(bench)          sees to it that it need not, or no longer
//   close(bench)          closes the object that it is started on
//   happened(bench)       whether what it is for has come about
//   gave(value)           whether that is what it has to give
namespace ringbell::test {

/// What the operations are tried on: one end of a connection by small rings, a listener, and a name
/// that nobody listens under yet.
struct bench {
  bench() {
    listener_options of_server;
    of_server.default_ring_bytes = 4096;
    connect_options of_client;
    of_client.ring_bytes = 4096;
    asio_pair pair = connected(context, of_server, of_client);
    near = std::make_unique<asio_channel>(std::move(pair.client));
    far = std::make_unique<asio_channel>(std::move(pair.server));
  }

  /// Takes all that was sent to `ch`.
  static std::size_t drain(asio_channel& ch) {
    std::size_t messages = 0;
    net_error_code error;
    while (ch.try_recv(error), !error) ++messages;
    return messages;
  }
  /// Leaves no space for `size` bytes in the ring of `ch`.
  static std::size_t fill(asio_channel& ch, std::size_t size) {
    const std::vector<std::byte> zeros(size);
    std::size_t messages = 0;
    while (!ch.try_send(net::buffer(zeros))) ++messages;
    return messages;
  }
  /// Lets what was started come to where it waits: those on the near end for their bell, the others
  /// for something.
  void settle() {
    near->spin(spin_policy::none);
    context.restart();
    context.poll();
  }
  /// From now on somebody listens under `name`, and takes one client.
  void listen() {
    server.emplace(context, name);
    server->async_accept([this](net_error_code error, asio_channel ch) {
      if (!error) others.push_back(std::move(ch));
    });
  }
  /// Comes to the listener as a client.
  void visit() {
    async_connect(context, listener.path(), [this](net_error_code error, asio_channel ch) {
      if (!error) others.push_back(std::move(ch));
    });
  }

  net::io_context context;
  const temporary_folder folder;
  const std::string name = folder / "nobody yet";
  asio_listener listener{context, folder / "listener"};
  std::optional<asio_listener> server;
  std::unique_ptr<asio_channel> near;
  std::unique_ptr<asio_channel> far;
  std::vector<asio_channel> others;
  const std::vector<std::byte> bytes = std::vector<std::byte>(500, std::byte{7});
  std::vector<std::byte> buffer = std::vector<std::byte>(1000);
};

struct recv_operation {
  using value_type = message;
  template <class Token>
  static auto start(bench& b, Token&& token) {
    return b.near->async_recv(std::forward<Token>(token));
  }
  static void block(bench&) {}
  static void allow(bench& b) { REQUIRE_FALSE(b.far->try_send(net::buffer("hello", 5))); }
  static void close(bench& b) { b.near->close(); }
  static bool happened(bench& b) { return b.near->statistics().messages_received == 1; }
  static bool gave(const message& m) { return m.text() == "hello"; }
};

struct recv_into_operation {
  using value_type = std::size_t;
  template <class Token>
  static auto start(bench& b, Token&& token) {
    return b.near->async_recv_into(net::buffer(b.buffer), std::forward<Token>(token));
  }
  static void block(bench&) {}
  static void allow(bench& b) { recv_operation::allow(b); }
  static void close(bench& b) { b.near->close(); }
  static bool happened(bench& b) { return std::memcmp(b.buffer.data(), "hello", 5) == 0; }
  static bool gave(std::size_t size) { return size == 5; }
};

struct send_operation {
  using value_type = std::monostate;
  template <class Token>
  static auto start(bench& b, Token&& token) {
    return b.near->async_send(net::buffer(b.bytes), std::forward<Token>(token));
  }
  static void block(bench& b) { bench::fill(*b.near, b.bytes.size()); }
  static void allow(bench& b) { bench::drain(*b.far); }
  static void close(bench& b) { b.near->close(); }
  static bool happened(bench& b) {
    net_error_code error;
    const message m = b.far->try_recv(error);
    return !error && std::ranges::equal(m.bytes(), b.bytes);
  }
  static bool gave(std::monostate) { return true; }
};

struct claim_operation {
  using value_type = claim;
  template <class Token>
  static auto start(bench& b, Token&& token) {
    return b.near->async_claim(b.bytes.size(), std::forward<Token>(token));
  }
  static void block(bench& b) { send_operation::block(b); }
  static void allow(bench& b) { send_operation::allow(b); }
  static void close(bench& b) { b.near->close(); }
  static bool happened(bench&) { return true; }
  static bool gave(const claim& c) { return c && c.bytes().size() == 500; }
};

template <bool Receiving>
struct wait_operation {
  using value_type = std::monostate;
  using waits_for = std::conditional_t<Receiving, recv_operation, send_operation>;
  template <class Token>
  static auto start(bench& b, Token&& token) {
    return b.near->async_wait(Receiving ? asio_channel::wait_recv : asio_channel::wait_send,
                              std::forward<Token>(token));
  }
  static void block(bench& b) {
    if (Receiving) return;
    bench::fill(*b.near, b.bytes.size());
    bench::fill(*b.near, 1);
  }
  static void allow(bench& b) { waits_for::allow(b); }
  static void close(bench& b) { b.near->close(); }
  static bool happened(bench&) { return true; }
  static bool gave(std::monostate) { return true; }
};
using wait_recv_operation = wait_operation<true>;
using wait_send_operation = wait_operation<false>;

struct accept_operation {
  using value_type = asio_channel;
  template <class Token>
  static auto start(bench& b, Token&& token) {
    return b.listener.async_accept(std::forward<Token>(token));
  }
  static void block(bench&) {}
  static void allow(bench& b) { b.visit(); }
  static void close(bench& b) { b.listener.close(); }
  static bool happened(bench& b) { return b.others.size() == 1; }
  static bool gave(const asio_channel& ch) { return ch.is_open(); }
};

struct connect_operation {
  using value_type = asio_channel;
  template <class Token>
  static auto start(bench& b, Token&& token) {
    return async_connect(b.context.get_executor(), b.name, std::forward<Token>(token));
  }
  static void block(bench&) {}
  static void allow(bench& b) { b.listen(); }
  static bool happened(bench& b) { return b.others.size() == 1; }
  template <class Channel>
  static bool gave(const Channel& ch) {
    return ch.is_open();
  }
};

// For TEST_CASE_TEMPLATE.
#define RINGBELL_CHANNEL_OPERATIONS                                                          \
  recv_operation, recv_into_operation, send_operation, claim_operation, wait_recv_operation, \
      wait_send_operation
#define RINGBELL_OBJECT_OPERATIONS RINGBELL_CHANNEL_OPERATIONS, accept_operation
#define RINGBELL_ALL_OPERATIONS RINGBELL_OBJECT_OPERATIONS, connect_operation

/// How an operation has ended, and how often.
template <class Op>
struct completion {
  int calls = 0;
  net_error_code error;
  std::optional<typename Op::value_type> value;

  template <class... Values>
  void set(const net_error_code& e, Values&&... values) {
    ++calls;
    error = e;
    value.reset();
    value.emplace(std::forward<Values>(values)...);
  }
  template <class... Values>
  void set(std::tuple<net_error_code, Values...>&& all) {
    std::apply(
        [this](const net_error_code& e, Values&... values) { this->set(e, std::move(values)...); },
        all);
  }
  /// A handler that writes it down here.
  auto handler() {
    return [this](const net_error_code& e, auto&&... values) {
      this->set(e, std::forward<decltype(values)>(values)...);
    };
  }
  bool ended_with(const net_error_code& e) const { return calls == 1 && error == e; }
  bool succeeded(bench& b) const {
    return ended_with({}) && value && Op::gave(*value) && Op::happened(b);
  }
};

template <class Op>
inline constexpr bool gives_value = !std::is_same_v<typename Op::value_type, std::monostate>;

}  // namespace ringbell::test
