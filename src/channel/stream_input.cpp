// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/detail/stream_input.hpp>

#include <algorithm>
#include <cstring>
#include <utility>

namespace ringbell::detail {

void stream_input::consume(std::size_t n) noexcept {
  read_ += std::min(n, record_.size() - read_);
  if (read_ != record_.size()) return;
  record_.release();
  read_ = 0;
}

errc stream_input::fill(connection& from) noexcept {
  if (!empty()) return errc{};
  ring::message_view view;
  if (const errc e = from.ring().receive(view); e != errc{}) return e;
  record_ = access::make<message>(from, std::move(view));
  if (!record_.empty()) return errc{};
  record_.release();
  from.ring().refuse_peer();
  return errc::bad_peer;
}

errc stream_input::read(connection& from, std::span<std::byte> to, std::size_t& n) noexcept {
  n = 0;
  for (std::size_t spent = 0; n < to.size() && spent < stream_slice;) {
    if (const errc e = fill(from); e != errc{}) return n == 0 ? e : errc{};
    const std::span<const std::byte> there = bytes();
    const std::size_t part = std::min(there.size(), to.size() - n);
    std::memcpy(to.data() + n, there.data(), part);
    consume(part);
    n += part;
    spent += part + record_price;
  }
  return errc{};
}

}  // namespace ringbell::detail
