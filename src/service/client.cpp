// SPDX-License-Identifier: BSL-1.0
#include <ringbell/service/client.hpp>

#include "service/client_impl.hpp"

#include <memory>
#include <utility>

namespace ringbell {

task<client> client::connect(loop& lp, std::string name, client_options options) {
  client made{detail::intrusive_ptr(*new detail::client_impl(lp, std::move(name), options))};
  task<void> connecting = made.impl_->connect();
  co_await std::move(connecting);
  co_return made;
}

call_stream client::open(std::uint32_t method, std::span<const std::byte> request,
                         call_options options) const {
  auto call = std::make_unique<detail::streamed_call>(impl_, method, request, options);
  call->submit();
  return call_stream(std::move(call));
}

void client::close() noexcept {
  if (impl_) impl_->close();
}
sys::peer_identity client::peer() const noexcept {
  return impl_ ? impl_->peer() : sys::peer_identity();
}
bool client::connected() const noexcept { return impl_ && impl_->connected(); }
std::size_t client::max_message() const noexcept { return impl_ ? impl_->max_message() : 0; }
std::size_t client::calls() const noexcept { return impl_ ? impl_->calls() : 0; }
channel_statistics client::statistics() const noexcept {
  return impl_ ? impl_->statistics() : channel_statistics();
}

task<payload> call_once(loop& lp, std::string name, std::uint32_t method, std::string request,
                        call_options call, client_options options) {
  task<client> connecting = client::connect(lp, std::move(name), options);
  client c = co_await std::move(connecting);
  co_return co_await c.call(method, std::string_view(request), call);
}

}  // namespace ringbell
