// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/stream_operations.hpp>
#include <ringbell/asio/impl/channel_operations.ipp>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

template class channel_operation<read_some_operation>;
template class channel_operation<read_view_operation>;
template class channel_operation<write_some_operation>;

errc read_now(const stream_parts& s, const read_buffers& to, std::size_t& n) noexcept {
  n = 0;
  for (const auto piece : to.pieces()) {
    if (n >= stream_slice) break;
    std::size_t part = 0;
    if (const errc e = s.input->read(*s.connection, piece, part); e != errc{})
      return n == 0 ? e : errc{};
    n += part;
    if (part < piece.size()) break;
  }
  return errc{};
}

errc write_now(asio_connection& c, const write_buffers& from, std::size_t& n) noexcept {
  n = 0;
  if (from.size() == 0) return errc{};
  return c.ring().send_some(from.pieces(), from.size(), n);
}

namespace {

/// Repeats the attempt until it returns something other than `would_block`. Sleeps in between.
template <class Attempt, class Look>
void block_until(asio_connection* c, directions d, std::size_t to_send, Attempt attempt, Look look,
                 net_error_code& error) {
  error = to_net(errc::closed);
  if (!c) return;
  error = to_net(errc::busy);
  if (c->pending(d)) return;
  polling polled;
  for (;;) {
    const errc e = attempt();
    c->ring_if_due();
    error = to_net(e);
    if (e != errc::would_block) return;
    auto seen = asio_connection::found::nothing_yet;
    while (seen == asio_connection::found::nothing_yet) {
      seen = c->poll(polled, look);
      c->attempted_in_vain();
    }
    if (seen == asio_connection::found::something) continue;
    const bool asleep = c->park(d, to_send, polled.polled, look);
    polled = {};
    if (!asleep) continue;
    c->wait(error);
    if (error) return;
    c->answer();
  }
}

}  // namespace

std::size_t read_blocking(const stream_parts& s, const read_buffers& to, net_error_code& error) {
  std::size_t n = 0;
  block_until(
      s.connection, towards_us, 0, [&] { return read_now(s, to, n); },
      [&] { return s.connection->ring().can_receive(); }, error);
  return n;
}

std::size_t write_blocking(const stream_parts& s, const write_buffers& from,
                           net_error_code& error) {
  std::size_t n = 0;
  const std::size_t unit = s.connection ? s.connection->ring().stream_unit(from.size()) : 0;
  block_until(
      s.connection, towards_peer, unit, [&] { return write_now(*s.connection, from, n); },
      [&] { return s.connection->ring().can_send(unit); }, error);
  return n;
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
