// SPDX-License-Identifier: BSL-1.0
#include <ringbell/service/server.hpp>

#include "service/server_impl.hpp"

#include <memory>
#include <utility>

namespace ringbell {

server::server(loop& lp, std::string_view name, handler_type handler, server_options options)
    : impl_(std::make_unique<detail::server_impl>(lp, nullptr, name, std::move(handler),
                                                  std::move(options))) {}
server::server(loop& lp, loop_pool& pool, std::string_view name, handler_type handler,
               server_options options)
    : impl_(std::make_unique<detail::server_impl>(lp, &pool, name, std::move(handler),
                                                  std::move(options))) {}
server::server(server&&) noexcept = default;
server& server::operator=(server&&) noexcept = default;
server::~server() = default;

task<bool> server::stop(time_limit grace) {
  return detail::server_impl::stop(impl_ ? impl_->ending() : nullptr, grace);
}
const std::string& server::path() const noexcept {
  static const std::string none;
  return impl_ ? impl_->path() : none;
}
std::size_t server::clients() const noexcept { return impl_ ? impl_->clients() : 0; }

}  // namespace ringbell
