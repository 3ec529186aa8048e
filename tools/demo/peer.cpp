// SPDX-License-Identifier: BSL-1.0
#include "demo/peer.hpp"

#include "system/calls.hpp"

#include <ringbell/channel/listener.hpp>

#include <array>
#include <cstring>
#include <memory>

namespace ringbell::tool::demo {

namespace {

task<> echo(channel& ch) {
  std::array<std::byte, largest_echo> copy;
  while (auto m = co_await ch.recv()) {
    const std::size_t size = m->size();
    if (size == 0 || size > copy.size()) co_return;
    // Released before replying: the reply then carries the news.
    std::memcpy(copy.data(), m->data(), size);
    m->release();
    co_await ch.send(std::span<const std::byte>(copy).first(size));
  }
}

/// Reads all that comes, and then says what it came to.
task<> sink(channel& ch) {
  std::uint64_t sum = 0;
  while (auto m = co_await ch.recv()) {
    if (m->empty()) break;
    sum += sum_of(m->bytes());
  }
  co_await ch.send(std::as_bytes(std::span(&sum, 1)));
}

void socket_echo(sys::native_handle socket) noexcept {
  std::array<std::byte, largest_echo> buffer;
  for (;;) {
    const std::size_t n = receive_some(socket, buffer);
    if (n <= socket_end || !send_whole(socket, std::span<const std::byte>(buffer).first(n))) return;
  }
}

task<channel> accept_client(loop& lp, const server_setup& setup) {
  listener from = listener::bind(lp, setup.name, setup.common.for_listener());
  co_return co_await from.accept();
}

}  // namespace

usage usage_so_far(const channel& ch, const asio_link* in_asio) {
  const channel_statistics s = ch.statistics();
  const channel_statistics a = in_asio ? in_asio->statistics() : channel_statistics();
  usage u;
  u.cpu_ns = processor_time_ns();
  u.parks = s.parks + a.parks;
  u.bells = s.bells_rung + a.bells_rung;
  return u;
}

usage operator-(const usage& a, const usage& b) noexcept {
  return {a.cpu_ns - b.cpu_ns, a.parks - b.parks, a.bells - b.bells};
}
usage operator+(const usage& a, const usage& b) noexcept {
  return {a.cpu_ns + b.cpu_ns, a.parks + b.parks, a.bells + b.bells};
}

std::uint64_t sum_of(std::span<const std::byte> bytes) noexcept {
  // Four sums, so that one addition need not wait for the one before.
  std::array<std::uint64_t, 4> sums{};
  std::size_t at = 0;
  for (; at + sizeof sums <= bytes.size(); at += sizeof sums) {
    std::array<std::uint64_t, 4> words;
    std::memcpy(words.data(), bytes.data() + at, sizeof words);
    for (std::size_t i = 0; i < words.size(); ++i) sums[i] += words[i];
  }
  for (; at + 8 <= bytes.size(); at += 8) {
    std::uint64_t word;
    std::memcpy(&word, bytes.data() + at, sizeof word);
    sums[0] += word;
  }
  return sums[0] + sums[1] + sums[2] + sums[3];
}

int serve(const server_setup& setup) {
  loop lp(setup.common.for_loop());
  channel ch = lp.run(accept_client(lp, setup));
  const std::unique_ptr<asio_link> in_asio = asio_link::accept(setup.asio_name, setup.common);
  for (;;) {
    phase next{};
    if (!receive_whole(setup.orders.get(), std::as_writable_bytes(std::span(&next, 1))) ||
        next == phase::leave)
      return exit_ok;
    const usage before = usage_so_far(ch, in_asio.get());
    switch (next) {
      case phase::ring_echo: lp.run(echo(ch)); break;
      case phase::ring_sink: lp.run(sink(ch)); break;
      case phase::asio_echo: in_asio->echo(); break;
      default: socket_echo(setup.socket.get());
    }
    const usage used = usage_so_far(ch, in_asio.get()) - before;
    if (!send_whole(setup.orders.get(), std::as_bytes(std::span(&used, 1)))) return exit_peer_died;
  }
}

}  // namespace ringbell::tool::demo
