// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "system/calls.hpp"

#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/loop/signals.hpp>
#include <ringbell/sys/bell.hpp>

#include <array>
#include <cstddef>
#include <cstring>
#include <span>
#include <string>

namespace ringbell::tool {

namespace {

task<> echo_all(channel ch) {
  std::array<std::byte, 256> copy;
  while (auto m = co_await ch.recv()) {
    const std::size_t size = m->size();
    if (size <= copy.size()) {
      // Released before replying: the reply then tells the client of the space, in the same cache
      // line.
      if (size != 0) std::memcpy(copy.data(), m->data(), size);
      m->release();
      co_await ch.send(std::span<const std::byte>(copy).first(size));
    } else {
      co_await ch.send(m->bytes());
    }
  }
}

task<> accept_all(listener& from, scope& clients) {
  for (;;) clients.spawn(echo_all(co_await from.accept()));
}

/// What may wake the two sides.
std::string bells() {
  const auto has = [](sys::bell_kind kind) {
    return (sys::system_bells() & sys::bell_bit(kind)) != 0;
  };
  if (!has(sys::bell_kind::eventfd)) return sys::name_of(sys::bell_kind::socket);
  const std::string events = sys::name_of(sys::bell_kind::eventfd);
  return has(sys::bell_kind::socket) ? events + " between processes of one user, else " +
                                           sys::name_of(sys::bell_kind::socket)
                                     : events;
}

task<> serve(loop& lp, const echo_options& options) {
  signal_set signals(stopping_signals());
  scope clients(lp);
  clients.on_error([](const std::exception_ptr&) {
  });  // a client that dies, or breaks the protocol, concerns nobody else
  listener from = listener::bind(lp, options.name, options.common.for_listener());
  print_line("ringbell: echo listens on " + from.path() +
             " (loop: " + std::string(lp.backend_reason()) + "; bells: " + bells() +
             "; spin: " + name_of(lp.spinning()) + ")");
  co_await when_any(signals.next(), accept_all(from, clients));
  clients.request_stop();
  co_await clients.join();
}

}  // namespace

int run_echo(const echo_options& options) {
  loop lp(options.common.for_loop());
  lp.run(serve(lp, options));
  return exit_ok;
}

}  // namespace ringbell::tool
