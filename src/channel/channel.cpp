// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/channel.hpp>

#include <new>
#include <string>
#include <system_error>

namespace ringbell {

// -- errors that give the limit --

namespace {

[[noreturn]] void fail_with(errc e, const char* what, std::size_t size, std::size_t most,
                            const char* advice) {
  throw std::system_error(e, std::string("ringbell: ") + what + " of " + std::to_string(size) +
                                 " bytes, where at most " + std::to_string(most) + " are allowed" +
                                 advice);
}

}  // namespace

void detail::fail_to_send(errc e, std::size_t size, channel_impl* impl) {
  if (e != errc::message_too_large || !impl) throw std::system_error(e);
  fail_with(e, "a message", size, impl->ring().max_message(), " (the peer's max_message)");
}

void detail::fail_to_claim(errc e, std::size_t size, channel_impl* impl) {
  if (e != errc::message_too_large || !impl) throw std::system_error(e);
  fail_with(e, "a claim", size, impl->ring().max_claim(),
            " (send() takes longer messages, and a larger ring longer claims)");
}

void detail::fail_to_receive_into(const std::error_code& error, std::size_t buffer) {
  if (error != errc::message_too_large) throw std::system_error(error);
  throw std::system_error(error, "ringbell: the next message does not fit the buffer of " +
                                     std::to_string(buffer) +
                                     " bytes; it is still there, for recv() or a larger buffer");
}

sys::peer_identity channel::peer() const noexcept {
  return impl() ? impl()->parts().who : sys::peer_identity();
}
sys::bell_kind channel::woken_by() const noexcept {
  return impl() ? impl()->parts().wakes_this : sys::bell_kind::socket;
}
sys::bell_kind channel::wakes_peer_by() const noexcept {
  return impl() ? impl()->parts().wakes_peer : sys::bell_kind::socket;
}

channel_statistics channel::statistics() const noexcept {
  return impl() ? detail::statistics_of(impl()->ring().counters()) : channel_statistics();
}

channel_statistics detail::statistics_of(const ring::channel_counters& c) noexcept {
  channel_statistics s;
  const auto value = [](const std::atomic<std::uint64_t>& counter) {
    return counter.load(std::memory_order_relaxed);
  };
  s.messages_sent = value(c.messages_sent);
  s.bytes_sent = value(c.bytes_sent);
  s.messages_received = value(c.messages_received);
  s.bytes_received = value(c.bytes_received);
  s.parks = value(c.parks);
  s.bells_rung = value(c.bells_rung);
  s.bells_suppressed = value(c.bells_suppressed);
  s.spins_paid = value(c.spins_paid);
  s.ring_full_stalls = value(c.ring_full_stalls);
  return s;
}

result<channel> detail::start_channel(loop& lp, connection_parts parts, client_slot slot) noexcept {
  auto* impl = new (std::nothrow) channel_impl(lp, std::move(parts), std::move(slot));
  if (!impl) return std::make_error_code(std::errc::not_enough_memory);
  channel ch = access::make<channel>(*impl);
  if (const std::error_code error = impl->start()) return error;
  return ch;
}

}  // namespace ringbell
