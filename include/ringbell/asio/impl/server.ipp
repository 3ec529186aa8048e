// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/impl/service_loop.ipp>
#include <ringbell/asio/server.hpp>
#include <ringbell/request.hpp>
#include <ringbell/server.hpp>

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

#include <memory>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

std::uint32_t method_of(const request& r) noexcept { return r.method(); }
const payload& content_of(const request& r) noexcept { return r.content(); }
const sys::peer_identity& peer_of(const request& r) noexcept { return r.peer(); }
std::optional<std::chrono::steady_clock::time_point> deadline_of(const request& r) noexcept { return r.deadline(); }
bool stop_requested(const request& r) noexcept { return r.stop_requested(); }
task<std::optional<payload>> run_read(shared_request r) { co_return co_await r->read(); }
task<void> run_write(shared_request r, std::span<const std::byte> part) { co_await r->write(part); }

// The server goes before its loop.
struct asio_server_state {
  asio_server_state(const net::any_io_executor& executor, std::string_view name, shared_request_handler handler, server_options options)
      : on(executor),
        service(
            on.lp(), name,
            [&lp = on.lp(), handler = std::move(handler)](request r) { return handler(lp, std::make_shared<request>(std::move(r))); },
            std::move(options)) {}
  service_loop on;
  server service;
};

std::shared_ptr<asio_server_state> make_server_state(const net::any_io_executor& executor, std::string_view name,
                                                     shared_request_handler handler, server_options options) {
  return share_on_loop<asio_server_state>(executor, executor, name, std::move(handler), std::move(options));
}
loop& service_loop_of(asio_server_state& server) noexcept { return server.on.lp(); }
const std::string& path_of(const asio_server_state& server) noexcept { return server.service.path(); }
std::size_t clients_of(const asio_server_state& server) noexcept { return server.service.clients(); }
task<bool> run_stop(std::shared_ptr<asio_server_state> server, time_limit grace) {
  task<bool> stopping = server->service.stop(grace);
  co_return co_await std::move(stopping);
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

#endif
