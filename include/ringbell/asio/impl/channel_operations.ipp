// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/channel_operations.hpp>
#include <ringbell/asio/detail/follow_up.hpp>
#include <ringbell/detail/access.hpp>

#include <algorithm>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

template <class Derived>
progress channel_operation<Derived>::advance(bool rung) {
  asio_connection& c = connection();
  if (rung) c.answer();
  if (handler_frame::came_by_queue()) c.turned();
  const auto look = [this] { return self().look(); };
  for (bool looked = false;; looked = true) {
    const errc e = self().attempt();
    c.ring_if_due();
    if (e != errc::would_block) return finish(e);
    if (looked) return progress::again;
    const auto seen = c.poll(polling_, look);
    if (seen == asio_connection::found::nothing_yet) {
      c.attempted_in_vain();  // otherwise an operation that polls for ever would not see a hang-up
      return progress::again;
    }
    if (seen == asio_connection::found::nothing) break;
  }
  const bool asleep = c.park(waits_for(), self().to_send(), polling_.polled, look);
  polling_ = {};
  return asleep ? progress::sleep : progress::again;
}

template <class Derived>
bool channel_operation<Derived>::finished_at_once() {
  if (!waits_on()) return true;
  const errc e = self().attempt();
  connection().ring_if_due();
  if (e == errc::would_block) return false;
  finish(e);
  return true;
}

template class channel_operation<recv_operation>;
template class channel_operation<recv_into_operation>;
template class channel_operation<send_operation>;
template class channel_operation<claim_operation>;
template class channel_operation<wait_operation>;

errc recv_operation::attempt() noexcept { return connection().ring().receive(view_); }
bool recv_operation::look() noexcept { return connection().ring().can_receive(); }
message recv_operation::take() noexcept {
  return outcome() ? message() : access::make<message>(connection(), std::move(view_));
}

errc recv_into_operation::attempt() noexcept { return receive_into(connection(), buffer_, size_); }
bool recv_into_operation::look() noexcept { return connection().ring().can_receive(); }

send_operation::send_operation(asio_connection* c, gather_list pieces, std::size_t size)
    : channel_operation(c, towards_peer), count_(pieces.size()), size_(size) {
  if (count_ <= few_.size())
    std::ranges::copy(pieces, few_.begin());
  else
    many_.assign(pieces.begin(), pieces.end());
}
errc send_operation::attempt() {
  ring::endpoint& ring = connection().ring();
  const gather_list pieces = many_.empty() ? gather_list(few_.data(), count_) : gather_list(many_);
  return size_ <= ring.max_claim() ? ring.try_send(pieces, size_)
                                   : ring.send_fragments(pieces, size_, sent_);
}
bool send_operation::look() noexcept { return connection().ring().can_send(to_send()); }

errc claim_operation::attempt() noexcept { return connection().ring().claim(size_, payload_); }
bool claim_operation::look() noexcept { return connection().ring().can_send(size_); }
claim claim_operation::take() noexcept {
  return outcome() ? claim() : access::make<claim>(connection(), std::span(payload_, size_));
}

bool wait_operation::look() noexcept {
  ring::endpoint& ring = connection().ring();
  return ((waits_for() & towards_us) && ring.can_receive()) ||
         ((waits_for() & towards_peer) && ring.can_send(to_send()));
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
