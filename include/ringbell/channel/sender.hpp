// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/claim.hpp>
#include <ringbell/channel/detail/channel_impl.hpp>
#include <ringbell/channel/detail/kept.hpp>
#include <ringbell/detail/access.hpp>
#include <ringbell/result.hpp>

#include <cstddef>
#include <span>
#include <string_view>
#include <utility>

namespace ringbell {

namespace detail {

inline std::size_t size_of(gather_list pieces) noexcept {
  std::size_t size = 0;
  for (const auto piece : pieces) size += piece.size();
  return size;
}

/// Throws `e` for a send or a claim of `size` bytes. When that is too long, and `impl` is not null,
/// the text of the error gives the limit.
[[noreturn]] void fail_to_send(errc e, std::size_t size, channel_impl* impl);
[[noreturn]] void fail_to_claim(errc e, std::size_t size, channel_impl* impl);

/// Sends bytes that the caller keeps.
class bytes_send_wait : public send_wait {
public:
  bool await_ready() noexcept {
    if (may_try()) {
      outcome_ = attempt();
      of_->ring_if_due();
    }
    return !undecided();
  }
  result<void> take_result() noexcept {
    const errc e = finish();
    return e == errc{} ? result<void>() : result<void>(e);
  }
  void await_resume() {
    channel_impl* const impl = of_;
    if (const errc e = finish(); e != errc{}) fail_to_send(e, size_, impl);
  }

protected:
  bytes_send_wait(channel_impl* impl, std::span<const std::byte> bytes) noexcept
      : send_wait(impl, bytes.size()), one_(bytes) {}
  bytes_send_wait(channel_impl* impl, gather_list pieces) noexcept
      : send_wait(impl, size_of(pieces)), many_(pieces), gathered_(true) {}
  ~bytes_send_wait() = default;

private:
  errc attempt() noexcept final {
    const gather_list pieces = gathered_ ? many_ : gather_list(&one_, 1);
    ring::endpoint& ring = of_->ring();
    return size_ <= ring.max_claim() ? ring.try_send(pieces, size_)
                                     : ring.send_fragments(pieces, size_, sent_);
  }
  std::span<const std::byte> one_;
  gather_list many_;
  bool gathered_ = false;
};

class send_awaiter final : public bytes_send_wait {
public:
  send_awaiter(channel_impl* impl, std::span<const std::byte> bytes) noexcept
      : bytes_send_wait(impl, bytes) {}
  send_awaiter(channel_impl* impl, gather_list pieces) noexcept : bytes_send_wait(impl, pieces) {}
};

/// As `send_awaiter`, but keeps a temporary that owns the bytes, or the list of pieces.
template <class Owner>
class keeping_send_awaiter final : private keeps<Owner>, public bytes_send_wait {
public:
  keeping_send_awaiter(channel_impl* impl, Owner owner)
      : keeps<Owner>(std::move(owner)), bytes_send_wait(impl, bytes_of(this->owner_)) {}
};
template <class Owner>
class keeping_gather_awaiter final : private keeps<Owner>, public bytes_send_wait {
public:
  keeping_gather_awaiter(channel_impl* impl, Owner owner)
      : keeps<Owner>(std::move(owner)), bytes_send_wait(impl, gather_list(this->owner_)) {}
};

class claim_awaiter final : public send_wait {
public:
  claim_awaiter(channel_impl* impl, std::size_t size) noexcept : send_wait(impl, size) {}
  bool await_ready() noexcept {
    if (may_try()) outcome_ = attempt();
    return !undecided();
  }
  result<claim> take_result() noexcept {
    if (const errc e = finish(); e != errc{}) return e;
    return std::move(claim_);
  }
  claim await_resume() {
    channel_impl* const impl = of_;
    if (const errc e = finish(); e != errc{}) fail_to_claim(e, size_, impl);
    return std::move(claim_);
  }

private:
  errc attempt() noexcept override {
    std::byte* payload = nullptr;
    const errc e = of_->ring().claim(size_, payload);
    if (e == errc{}) claim_ = access::make<claim>(*of_, std::span(payload, size_));
    return e;
  }
  claim claim_;
};

}  // namespace detail

/// The sending half of a channel.
///
/// Thread-safety: the loop's thread. One send or claim may be pending at a time; another one fails
/// with `errc::busy`. On another loop than its own, an operation that has to wait ends with
/// `errc::wrong_loop`.
/// Cancellation: a stop ends a pending send with `errc::cancelled`. The message was then not sent,
/// and the peer receives nothing of it. A send that does not have to wait checks the stop token
/// only now and then.
/// Lifetime: destruction ends the stream in order, after what was sent, and ends a pending
/// operation with `errc::closed`. A sender that outlives its loop is closed.
class sender {
public:
  using send_awaitable =
      detail::awaitable<detail::send_awaiter, detail::channel_impl*, std::span<const std::byte>>;
  using send_gather_awaitable =
      detail::awaitable<detail::send_awaiter, detail::channel_impl*, gather_list>;
  using claim_awaitable =
      detail::awaitable<detail::claim_awaiter, detail::channel_impl*, std::size_t>;
  template <class Owner>
  using send_owner_awaitable =
      detail::awaitable<detail::keeping_send_awaiter<Owner>, detail::channel_impl*, Owner>;
  template <class Owner>
  using gather_owner_awaitable =
      detail::awaitable<detail::keeping_gather_awaiter<Owner>, detail::channel_impl*, Owner>;
  class batch;

  sender() noexcept = default;
  sender(sender&& other) noexcept : impl_(std::exchange(other.impl_, nullptr)) {}
  sender& operator=(sender&& other) noexcept {
    if (this != &other) {
      reset();
      impl_ = std::exchange(other.impl_, nullptr);
    }
    return *this;
  }
  ~sender() { reset(); }
  explicit operator bool() const noexcept { return impl_ != nullptr; }

  /// Sends one message. Waits only while the ring is full. The message may have up to
  /// `max_message()` bytes; one that is longer than `max_claim()` is sent in fragments, which the
  /// peer joins.
  /// Errors: throws `errc::peer_closed` when the peer has gone or receives no more,
  /// `errc::message_too_large`, `errc::cancelled`, `errc::closed`, `errc::busy`,
  /// `errc::bad_peer`, `errc::wrong_loop`.
  /// Cancellation: see the class.
  /// Lifetime: the bytes must stay valid until the message is sent. The operation keeps a temporary
  /// that owns its bytes, as in `send(std::string(...))`.
  send_awaitable send(std::span<const std::byte> bytes) noexcept {
    return send_awaitable(impl_, bytes);
  }
  send_awaitable send(std::string_view text) noexcept {
    return send_awaitable(impl_, detail::as_bytes(text));
  }
  template <class Owner>
    requires detail::owns_bytes<Owner>
  send_owner_awaitable<std::remove_const_t<Owner>> send(Owner&& temporary) {
    return send_owner_awaitable<std::remove_const_t<Owner>>(impl_, std::forward<Owner>(temporary));
  }
  /// Sends the pieces as one message, as `send` does.
  /// Lifetime: the list and the pieces must stay valid until the message is sent. The operation
  /// keeps a list that is a temporary; it does not keep the pieces.
  send_gather_awaitable send_gather(gather_list pieces) noexcept {
    return send_gather_awaitable(impl_, pieces);
  }
  template <class Owner>
    requires detail::owner_of<Owner, gather_list>
  gather_owner_awaitable<std::remove_const_t<Owner>> send_gather(Owner&& temporary) {
    return gather_owner_awaitable<std::remove_const_t<Owner>>(impl_,
                                                              std::forward<Owner>(temporary));
  }
  /// Waits for space in the ring for one message of `size` bytes, at most `max_claim()`. The result
  /// is a `claim`: the message is written in place.
  /// Errors: those of `send`.
  /// Cancellation: see the class.
  claim_awaitable claim(std::size_t size) noexcept { return claim_awaitable(impl_, size); }

  /// Sends one message without waiting, or not at all.
  /// Errors: `errc::would_block` when the ring is full, `errc::message_too_large` when the message
  /// is longer than `max_claim()`, else those of `send`.
  std::error_code try_send(std::span<const std::byte> bytes) noexcept {
    return try_send_gather(gather_list(&bytes, 1));
  }
  std::error_code try_send(std::string_view text) noexcept {
    return try_send(detail::as_bytes(text));
  }
  std::error_code try_send_gather(gather_list pieces) noexcept;
  /// Claims space without waiting, or not at all.
  /// Errors: those of `try_send`.
  result<ringbell::claim> try_claim(std::size_t size) noexcept;

  /// Returns the length, in bytes, of the longest message that can be claimed or sent by
  /// `try_send`: three eighths of the ring, or `max_message()` if that is less.
  std::size_t max_claim() const noexcept { return impl_ ? impl_->ring().max_claim() : 0; }
  /// Returns the length, in bytes, of the longest message that the peer takes.
  std::size_t max_message() const noexcept { return impl_ ? impl_->ring().max_message() : 0; }

  /// Ends the stream: the peer receives what was sent, then the end. A pending send ends with
  /// `errc::closed`. Further calls have no effect.
  void close() noexcept {
    if (impl_) impl_->close_send();
  }

private:
  friend struct detail::access;
  explicit sender(detail::channel_impl* impl) noexcept : impl_(impl) {}
  detail::channel_impl* impl() const noexcept { return impl_; }
  void reset() noexcept {
    if (auto* impl = std::exchange(impl_, nullptr)) impl->drop_sender();
  }
  detail::channel_impl* impl_ = nullptr;
};

/// While a batch exists, messages are published together, with one fence and at most one bell for
/// all. That happens when the batch ends, when the ring is full, or when the loop goes to sleep.
///
/// Thread-safety: the loop's thread.
/// Lifetime: a batch must not outlive its sender.
class sender::batch {
public:
  explicit batch(sender& of) noexcept : impl_(of.impl_) {
    if (impl_) impl_->ring().hold(true);
  }
  batch(const batch&) = delete;
  batch& operator=(const batch&) = delete;
  ~batch() {
    if (impl_) impl_->ring().hold(false);
    flush();
  }
  /// Publishes the messages that were sent so far.
  void flush() noexcept {
    if (!impl_) return;
    impl_->ring().publish();
    impl_->ring_if_due();
  }

private:
  detail::channel_impl* impl_;
};

inline std::error_code sender::try_send_gather(gather_list pieces) noexcept {
  if (!impl_) return errc::closed;
  if (impl_->sending()) return errc::busy;
  const errc e = impl_->ring().try_send(pieces, detail::size_of(pieces));
  impl_->ring_if_due();
  return e == errc{} ? std::error_code() : e;
}

inline result<claim> sender::try_claim(std::size_t size) noexcept {
  if (!impl_) return errc::closed;
  if (impl_->sending()) return errc::busy;
  std::byte* payload = nullptr;
  if (const errc e = impl_->ring().claim(size, payload); e != errc{}) return e;
  return detail::access::make<ringbell::claim>(*impl_, std::span(payload, size));
}

}  // namespace ringbell
