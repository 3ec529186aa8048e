// SPDX-License-Identifier: BSL-1.0
// Six operations on a channel; descriptor.cpp has six on a descriptor of Asio's own.
#include <ringbell/asio.hpp>

#include <array>
#include <cstddef>

namespace net = ringbell::net;

net::awaitable<std::size_t> six(ringbell::asio_channel& ch) {
  std::array<char, 64> bytes{};
  std::size_t total = co_await ch.async_recv_into(net::buffer(bytes), net::use_awaitable);
  const ringbell::message m = co_await ch.async_recv(net::use_awaitable);
  co_await ch.async_send(net::buffer(bytes, total), net::use_awaitable);
  const std::array<net::const_buffer, 2> pieces{net::buffer(m.data(), m.size()),
                                                net::buffer(bytes)};
  co_await ch.async_send(pieces, net::use_awaitable);
  ringbell::claim space = co_await ch.async_claim(64, net::use_awaitable);
  space.commit(64);
  co_await ch.async_wait(ch.wait_recv, net::use_awaitable);
  co_return total + m.size();
}
