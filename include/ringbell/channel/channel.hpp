// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/receiver.hpp>
#include <ringbell/channel/sender.hpp>
#include <ringbell/channel/statistics.hpp>
#include <ringbell/detail/access.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <span>
#include <string_view>
#include <utility>

namespace ringbell {

/// One end of a connection to another process. It carries messages in both directions, and each
/// direction is a stream with an end of its own. `connect` and `listener::accept` make channels.
/// The two halves can be used, closed and moved independently.
///
/// Errors, thread-safety, cancellation: as `sender` and `receiver` say.
/// Lifetime: destruction closes both directions in order and hangs up; the peer still receives what
/// was sent. After fork() the child may destroy its copy of the channel, and must do so before it
/// destroys its copies of messages and claims. The parent's channel is not affected.
class channel {
public:
  channel() noexcept = default;
  channel(channel&&) noexcept = default;
  channel& operator=(channel&&) noexcept = default;
  explicit operator bool() const noexcept {
    return static_cast<bool>(sender_) || static_cast<bool>(receiver_);
  }

  /// These send, as those of `sender` do.
  auto send(std::span<const std::byte> bytes) noexcept { return sender_.send(bytes); }
  auto send(std::string_view text) noexcept { return sender_.send(text); }
  template <class Owner>
    requires detail::owns_bytes<Owner>
  auto send(Owner&& temporary) {
    return sender_.send(std::forward<Owner>(temporary));
  }
  auto send_gather(gather_list pieces) noexcept { return sender_.send_gather(pieces); }
  template <class Owner>
    requires detail::owner_of<Owner, gather_list>
  auto send_gather(Owner&& temporary) {
    return sender_.send_gather(std::forward<Owner>(temporary));
  }
  auto claim(std::size_t size) noexcept { return sender_.claim(size); }
  std::error_code try_send(std::span<const std::byte> bytes) noexcept {
    return sender_.try_send(bytes);
  }
  std::error_code try_send(std::string_view text) noexcept { return sender_.try_send(text); }
  std::error_code try_send_gather(gather_list pieces) noexcept {
    return sender_.try_send_gather(pieces);
  }
  result<ringbell::claim> try_claim(std::size_t size) noexcept { return sender_.try_claim(size); }
  std::size_t max_claim() const noexcept { return sender_.max_claim(); }
  std::size_t max_message() const noexcept { return sender_.max_message(); }

  /// These receive, as those of `receiver` do.
  auto recv() noexcept { return receiver_.recv(); }
  auto recv_into(std::span<std::byte> buffer) noexcept { return receiver_.recv_into(buffer); }
  result<message> try_recv() noexcept { return receiver_.try_recv(); }

  /// Ends both directions in order: the peer receives what was sent, then the end. Pending
  /// operations end with `errc::closed`. Further calls have no effect.
  void close() noexcept {
    sender_.close();
    receiver_.close();
  }

  /// Ends both directions at once, for a transfer that has failed. The peer receives what was sent,
  /// then `errc::peer_closed`, as if this process had died. Pending and later operations end with
  /// `errc::closed`. Further calls have no effect.
  void abort() noexcept {
    if (impl()) impl()->abort();
  }

  /// Return the halves, which stay with this object.
  ringbell::sender& sender() noexcept { return sender_; }
  ringbell::receiver& receiver() noexcept { return receiver_; }
  /// Gives the halves away, for two coroutines that live independently. The connection lives until
  /// both halves are gone.
  std::pair<ringbell::sender, ringbell::receiver> split() && noexcept {
    return {std::move(sender_), std::move(receiver_)};
  }

  /// Returns the identity of the peer, which the kernel recorded when the connection was made.
  sys::peer_identity peer() const noexcept;
  /// Return the kind of bell that wakes this side, and the kind that wakes the peer.
  sys::bell_kind woken_by() const noexcept;
  sys::bell_kind wakes_peer_by() const noexcept;
  channel_statistics statistics() const noexcept;

private:
  friend struct detail::access;
  explicit channel(detail::channel_impl& impl) noexcept
      : sender_(detail::access::make<ringbell::sender>(&impl)),
        receiver_(detail::access::make<ringbell::receiver>(&impl)) {}
  detail::channel_impl* impl() const noexcept {
    auto* const sending = detail::access::impl_of(sender_);
    return sending ? sending : detail::access::impl_of(receiver_);
  }
  ringbell::sender sender_;
  ringbell::receiver receiver_;
};

namespace detail {
/// Makes a channel of what a handshake has left, and begins to watch for bells.
/// Errors: those of `channel_impl::start`, and the system's when there is no memory.
result<channel> start_channel(loop& lp, connection_parts parts, client_slot slot) noexcept;
}  // namespace detail

}  // namespace ringbell
