// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/driven_loop.hpp>
#include <ringbell/loop/loop.hpp>

#include <memory>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

namespace {

loop_options of_handshakes() noexcept {
  loop_options o;
  o.backend = plain_backend();  // it is the cheapest to make, and works everywhere
  o.spin = spin_policy::none;
  return o;
}

}  // namespace

driven_loop::driven_loop(net::execution_context& context)
    : counted_waitable(context), loop_(std::make_unique<loop>(of_handshakes())) {
  net_error_code error;
  watch(loop_->native_handle(), error);
  if (error) throw net_system_error(error, "ringbell: watching a loop");
}

driven_loop::~driven_loop() { driven_loop::stop(); }

void driven_loop::run_ready() { loop_->run_ready(); }

void driven_loop::stop() noexcept {
  unwatch();
  loop_.reset();
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
