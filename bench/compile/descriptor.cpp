// SPDX-License-Identifier: BSL-1.0
// Six operations on a descriptor of Asio's own; channel.cpp has six on a channel.
#include <array>
#include <asio.hpp>
#include <cstddef>
#include <string>

namespace net = asio;

net::awaitable<std::size_t> six(net::posix::stream_descriptor& d) {
  std::array<char, 64> bytes{};
  std::size_t total = co_await d.async_read_some(net::buffer(bytes), net::use_awaitable);
  std::string line;
  total += co_await net::async_read_until(d, net::dynamic_buffer(line), '\n', net::use_awaitable);
  co_await d.async_write_some(net::buffer(bytes, total), net::use_awaitable);
  const std::array<net::const_buffer, 2> pieces{net::buffer(line), net::buffer(bytes)};
  co_await net::async_write(d, pieces, net::use_awaitable);
  total += co_await net::async_read(d, net::buffer(bytes), net::use_awaitable);
  co_await d.async_wait(net::posix::descriptor_base::wait_read, net::use_awaitable);
  co_return total;
}
