// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/asio_connection.hpp>
#include <ringbell/asio/detail/gathered.hpp>
#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/claim.hpp>
#include <ringbell/message.hpp>

#include <cstddef>
#include <span>
#include <utility>

namespace ringbell::detail {

/// What the operations on a channel have in common. `Derived` adds `errc attempt()` (`errc::would_block`: not yet) and `bool look()`, whether
/// an attempt would now get on.
template <class Derived>
class channel_step : public step<asio_connection> {
public:
  channel_step(asio_connection* c, directions d) noexcept : step(c, d) {}
  channel_step(asio_connection* c, directions d, const polling& begun) noexcept : step(c, d), polling_(begun) {}

  progress advance(bool rung) {
    asio_connection& c = *object();
    if (rung) c.answer();
    c.turned();
    const auto look = [this] { return self().look(); };
    for (bool looked = false;; looked = true) {
      const errc e = self().attempt();
      c.ring_if_due();
      if (e != errc::would_block) return finish(e);
      if (looked) return progress::again;
      const auto seen = c.poll(polling_, look);
      if (seen == asio_connection::found::nothing_yet) {
        c.attempted_in_vain();  // who polls for ever would not hear of a hang-up otherwise
        return progress::again;
      }
      if (seen == asio_connection::found::nothing) break;
    }
    const bool polled = polling_.begun != asio_connection::clock::time_point();
    const bool asleep = c.park(waits_for(), self().to_send(), polled, look);
    polling_ = {};
    return asleep ? progress::sleep : progress::again;
  }

  bool finished_at_once() {
    if (!object()) return true;
    const errc e = self().attempt();
    object()->ring_if_due();
    if (e == errc::would_block) return false;
    finish(e);
    return true;
  }

  std::size_t to_send() const noexcept { return 0; }

private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }
  polling polling_;
};

class recv_step final : public channel_step<recv_step> {
public:
  using value_type = message;
  explicit recv_step(asio_connection* c, const polling& begun = {}) noexcept : channel_step(c, towards_us, begun) {}
  errc attempt() noexcept { return object()->ring().receive(view_); }
  bool look() noexcept { return object()->ring().can_receive(); }
  message take() noexcept { return outcome() ? message() : message(*object(), std::move(view_)); }

private:
  message_view view_;
};

class recv_into_step final : public channel_step<recv_into_step> {
public:
  using value_type = std::size_t;
  recv_into_step(asio_connection* c, std::span<std::byte> buffer) noexcept : channel_step(c, towards_us), buffer_(buffer) {}
  errc attempt() noexcept { return receive_into(*object(), buffer_, size_); }
  bool look() noexcept { return object()->ring().can_receive(); }
  std::size_t take() noexcept { return outcome() ? 0 : size_; }

private:
  std::span<std::byte> buffer_;
  std::size_t size_ = 0;
};

template <class Buffers>
class send_step final : public channel_step<send_step<Buffers>> {
public:
  using value_type = void;
  send_step(asio_connection* c, const Buffers& buffers, const polling& begun = {})
      : channel_step<send_step>(c, towards_peer, begun), buffers_(buffers), size_(net::buffer_size(buffers)) {}
  errc attempt() {
    endpoint& ring = this->object()->ring();
    const gathered<Buffers> message(buffers_);
    return size_ <= ring.max_claim() ? ring.try_send(message.pieces(), size_) : ring.send_fragments(message.pieces(), size_, sent_);
  }
  bool look() noexcept { return this->object()->ring().can_send(to_send()); }
  std::size_t to_send() const noexcept { return size_ - sent_; }

private:
  Buffers buffers_;
  std::size_t size_;
  std::size_t sent_ = 0;
};

class claim_step final : public channel_step<claim_step> {
public:
  using value_type = claim;
  claim_step(asio_connection* c, std::size_t size) noexcept : channel_step(c, towards_peer), size_(size) {}
  errc attempt() noexcept { return object()->ring().claim(size_, payload_); }
  bool look() noexcept { return object()->ring().can_send(size_); }
  std::size_t to_send() const noexcept { return size_; }
  claim take() noexcept { return outcome() ? claim() : claim(*object(), {payload_, size_}); }

private:
  std::size_t size_;
  std::byte* payload_ = nullptr;
};

/// Waits until an attempt would get on, in one of two directions, and does nothing.
class wait_step final : public channel_step<wait_step> {
public:
  using value_type = void;
  wait_step(asio_connection* c, directions d) noexcept : channel_step(c, d) {}
  errc attempt() noexcept { return look() ? errc{} : errc::would_block; }
  bool look() noexcept {
    endpoint& ring = object()->ring();
    return ((waits_for() & towards_us) && ring.can_receive()) || ((waits_for() & towards_peer) && ring.can_send(to_send()));
  }
  std::size_t to_send() const noexcept { return 1; }
};

}  // namespace ringbell::detail
