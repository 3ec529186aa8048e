// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <cstdint>
#include <memory>
#include <utility>

#include "support/asio.hpp"
#include "support/process.hpp"

namespace ringbell::test {

/// Both ends of a stream on one context.
struct asio_streams {
  explicit asio_streams(std::uint64_t ring_bytes = 4096) {
    const temporary_folder folder;
    listener_options of_server;
    of_server.default_ring_bytes = ring_bytes;
    connect_options of_client;
    of_client.ring_bytes = ring_bytes;
    asio_stream_acceptor acceptor(context, folder / "pair", of_server);
    acceptor.async_accept([&](net_error_code error, asio_stream s) {
      REQUIRE_FALSE(error);
      server = std::move(s);
    });
    async_connect_stream(context, folder / "pair", of_client,
                         [&](net_error_code error, asio_stream s) {
                           REQUIRE_FALSE(error);
                           client = std::move(s);
                         });
    context.run();
    context.restart();
    REQUIRE(server.is_open());
    REQUIRE(client.is_open());
  }

  net::io_context context;
  asio_stream server{context};
  asio_stream client{context};
};

}  // namespace ringbell::test
