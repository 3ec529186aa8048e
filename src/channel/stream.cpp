// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/stream.hpp>

#include <ringbell/channel/connect.hpp>

namespace ringbell {

errc detail::write_bytes_wait::attempt() noexcept {
  ring::endpoint& ring = of_->ring();
  std::size_t in_this_turn = 0;
  while (!rest_.empty() && in_this_turn < stream_slice) {
    std::size_t n = 0;
    const errc e = ring.send_some(gather_list(&rest_, 1), rest_.size(), n);
    if (e != errc{}) {
      size_ = ring.stream_unit(rest_.size());
      return e;
    }
    rest_ = rest_.subspan(n);
    written_ += n;
    in_this_turn += n + record_price;
    if (!all_) return e;
  }
  size_ = ring.stream_unit(rest_.size());
  return rest_.empty() ? errc{} : errc::would_block;
}

// It goes on when the stream moves: it needs only what the stream points to.
task<std::size_t> stream::read_all(detail::channel_impl* impl, detail::stream_input* in,
                                   std::span<std::byte> buffer) {
  std::size_t have = 0;
  while (have < buffer.size()) {
    const std::size_t n = co_await read_some_awaitable(impl, in, buffer.subspan(have));
    if (n == 0) break;
    have += n;
  }
  co_return have;
}

void stream::no_delay(bool on) noexcept {
  detail::channel_impl* const c = impl();
  if (!c) return;
  c->ring().hold(!on);
  if (!on) return;
  c->ring().publish();
  c->ring_if_due();
}

task<stream> connect_stream(loop& lp, std::string name, connect_options options) {
  task<detail::connection_parts> connecting =
      detail::connect_parts(lp, std::move(name), options, handshake::record_kind::stream);
  detail::connection_parts parts = co_await std::move(connecting);
  co_return stream(detail::start_channel(lp, std::move(parts), {}).value());
}

}  // namespace ringbell
