// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/channel/detail/handshake.hpp>
#include <ringbell/sys/local_socket.hpp>

#include "support/bells.hpp"
#include "support/child_process.hpp"

#include <chrono>
#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace ringbell::test {

/// One end of a control socket in the hands of somebody who speaks the protocol himself, well or
/// not. Blocks, for a bounded time.
class raw_peer {
public:
  explicit raw_peer(sys::local_socket s) noexcept : socket(std::move(s)) {}

  static raw_peer connected_to(const std::string& path) {
    std::error_code error;
    raw_peer made{sys::local_socket()};
    // A backlog that is full, or a server that is just starting.
    if (!eventually([&] { return made.socket = sys::local_socket::connect(path, error), !error; }))
      throw std::system_error(error, "a raw connection");
    return made;
  }

  /// False when the other end has hung up.
  bool send(std::span<const std::byte> bytes,
            std::span<const sys::native_handle> with = {}) noexcept {
    const auto sent = socket.send(bytes, with);
    return sent && *sent == bytes.size();
  }
  bool send(const handshake::frame& frame, std::span<const sys::native_handle> with = {}) noexcept {
    return send(handshake::encode(frame).bytes(), with);
  }

  /// The answer, with what came with it; empty when the other end hung up, or said nothing for that
  /// time.
  std::optional<handshake::frame> answer(std::chrono::milliseconds limit = patience) {
    handshake::frame_reader reader;
    for (;;) {
      const auto got = socket.receive(reader.want(), handles);
      if (got) {
        if (*got == 0) return std::nullopt;
        if (auto frame = reader.received(*got)) return *frame;
      } else if (got.error() != errc::would_block || !poll_for(socket.native(), POLLIN, limit)) {
        return std::nullopt;
      }
    }
  }

  /// Whether the other end hangs up within that time; what it says until then is dropped.
  bool hangs_up(std::chrono::milliseconds limit = patience) noexcept {
    const auto deadline = std::chrono::steady_clock::now() + limit;
    while (!socket.drain()) {
      const auto left =
          std::chrono::ceil<std::chrono::milliseconds>(deadline - std::chrono::steady_clock::now());
      if (left.count() <= 0) return false;
      (void)poll_for(socket.native(), POLLIN | peer_hung_up, left);
    }
    return true;
  }

  sys::local_socket socket;
  sys::received_handles handles;
};

/// A client that greets well, and then does as it likes with its own region.
class raw_client : public raw_peer {
public:
  static constexpr std::uint64_t ring_bytes = 4096;

  explicit raw_client(const std::string& path, sys::bell_kind bell = bells_here().front())
      : raw_peer(connected_to(path)) {
    std::error_code error;
    own = detail::create_ring_region(ring_bytes, error);
    if (!error) own_bell = sys::event_bell::create(error);
    if (error) throw std::system_error(error, "a raw client's memory");
    const sys::native_handle both[] = {own.shared_handle(), own_bell.native()};
    const handshake::hello hello = greeting(bell);
    send(hello, std::span(both).first(handshake::expected_handles(hello)));
    const auto frame = answer();
    if (!frame) return;
    if (const auto* w = std::get_if<handshake::welcome>(&*frame)) {
      welcome = *w;
      sys::handle memory = handles.items[0].trusted();
      peer_region_handle = memory.duplicate(error);
      peer = detail::map_ring_region(std::move(memory), w->ring_bytes, error);
      if (w->wakes_server == sys::bell_kind::eventfd)
        peer_bell = sys::event_bell(handles.items[1].trusted());
    }
  }

  static handshake::hello greeting(sys::bell_kind bell = bells_here().front()) {
    handshake::hello h;
    h.can_wait_on = h.can_ring = sys::bell_bit(bell);
    h.ring_bytes = ring_bytes;
    h.max_message = 1 << 20;
    return h;
  }

  bool greeted() const noexcept { return static_cast<bool>(peer); }
  ring::control_page& page() noexcept { return *reinterpret_cast<ring::control_page*>(own.data()); }
  std::byte* data() noexcept { return own.data() + ring::control_bytes; }
  const ring::control_page& peer_page() const noexcept {
    return *reinterpret_cast<const ring::control_page*>(peer.data());
  }
  void ring() noexcept {
    if (welcome.wakes_server == sys::bell_kind::eventfd)
      (void)peer_bell.ring();
    else
      (void)socket.ring();
  }

  sys::region own;
  sys::peer_region peer;
  sys::handle peer_region_handle;
  sys::event_bell own_bell;
  sys::event_bell peer_bell;
  handshake::welcome welcome;
};

}  // namespace ringbell::test
