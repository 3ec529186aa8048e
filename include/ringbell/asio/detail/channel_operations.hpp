// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/asio_connection.hpp>
#include <ringbell/asio/detail/operation.hpp>
#include <ringbell/channel/claim.hpp>
#include <ringbell/channel/message.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <utility>
#include <vector>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// What the operations on a channel have in common. `Derived` adds `errc attempt()`, which returns
/// `errc::would_block` when it has to wait, and `bool look()`, whether an attempt would now
/// succeed.
template <class Derived>
class channel_operation : public operation {
protected:
  channel_operation(asio_connection* c, directions d, const polling& begun = {}) noexcept
      : operation(c, d), connection_(waits_on() ? c : nullptr), polling_(begun) {
    // Its initiation has polled, or it was begun because the turn of its coroutine is over.
    if (begun.current.on() || (connection_ && connection_->turn_is_over())) passes_queue();
  }

  progress advance(bool rung) override;
  bool finished_at_once() override;

  asio_connection& connection() const noexcept { return *connection_; }
  std::size_t to_send() const noexcept { return 0; }

private:
  Derived& self() noexcept { return static_cast<Derived&>(*this); }

  asio_connection* connection_;
  polling polling_;
};

class recv_operation : public channel_operation<recv_operation> {
public:
  using value_type = message;
  message take() noexcept;

protected:
  explicit recv_operation(asio_connection* c, const polling& begun = {}) noexcept
      : channel_operation(c, towards_us, begun) {}

private:
  friend channel_operation;
  errc attempt() noexcept;
  bool look() noexcept;

  ring::message_view view_;
};

class recv_into_operation : public channel_operation<recv_into_operation> {
public:
  using value_type = std::size_t;
  std::size_t take() noexcept { return outcome() ? 0 : size_; }

protected:
  recv_into_operation(asio_connection* c, std::span<std::byte> buffer) noexcept
      : channel_operation(c, towards_us), buffer_(buffer) {}

private:
  friend channel_operation;
  errc attempt() noexcept;
  bool look() noexcept;

  std::span<std::byte> buffer_;
  std::size_t size_ = 0;
};

/// More than 16 pieces need an allocation.
class send_operation : public channel_operation<send_operation> {
public:
  using value_type = void;

protected:
  send_operation(asio_connection* c, gather_list pieces, std::size_t size);

private:
  friend channel_operation;
  errc attempt();
  bool look() noexcept;
  std::size_t to_send() const noexcept { return size_ - sent_; }

  using piece = std::span<const std::byte>;
  std::array<piece, 16> few_;
  std::vector<piece> many_;
  std::size_t count_;
  std::size_t size_;
  std::size_t sent_ = 0;
};

class claim_operation : public channel_operation<claim_operation> {
public:
  using value_type = claim;
  claim take() noexcept;

protected:
  claim_operation(asio_connection* c, std::size_t size) noexcept
      : channel_operation(c, towards_peer), size_(size) {}

private:
  friend channel_operation;
  errc attempt() noexcept;
  bool look() noexcept;
  std::size_t to_send() const noexcept { return size_; }

  std::size_t size_;
  std::byte* payload_ = nullptr;
};

/// Waits until an attempt in one of the given directions would not block, and does nothing.
class wait_operation : public channel_operation<wait_operation> {
public:
  using value_type = void;

protected:
  wait_operation(asio_connection* c, directions d) noexcept : channel_operation(c, d) {}

private:
  friend channel_operation;
  errc attempt() noexcept { return look() ? errc{} : errc::would_block; }
  bool look() noexcept;
  std::size_t to_send() const noexcept { return 1; }
};

extern template class channel_operation<recv_operation>;
extern template class channel_operation<recv_into_operation>;
extern template class channel_operation<send_operation>;
extern template class channel_operation<claim_operation>;
extern template class channel_operation<wait_operation>;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
