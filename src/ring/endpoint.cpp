// SPDX-License-Identifier: BSL-1.0
#include <ringbell/ring/endpoint.hpp>

#include <new>

namespace ringbell::ring {

namespace {

// The length of the whole message, which precedes its first fragment.
constexpr std::size_t total_bytes = 8;

// How many bytes of fragments are moved in one call, which takes some tens of microseconds. After
// that the other channels and the timers have their turn, even during a longer message, or when a
// peer never ends its fragments.
constexpr std::size_t slice = std::size_t{1} << 20;

/// Copies `n` bytes of a message, starting at `offset`.
void copy_gathered(std::byte* to, gather_list message, std::size_t offset, std::size_t n) noexcept {
  for (const auto piece : message) {
    if (offset >= piece.size()) {
      offset -= piece.size();
      continue;
    }
    const std::size_t part = std::min(n, piece.size() - offset);
    if (part == 0) return;
    copy_to_ring(to, piece.data() + offset, part);
    to += part;
    n -= part;
    offset = 0;
  }
}

}  // namespace

errc endpoint::fail(errc e) noexcept {
  switch (e) {
    case errc::bad_peer: failure_ = e; break;
    case errc::would_block:
      // Publish the messages that are held back: only when they are read can the space become free.
      if (writer_.tail() != writer_.published()) publish();
      count(own_.counters.ring_full_stalls);
      break;
    default: break;
  }
  return e;
}

// -- sending --

errc endpoint::check_send_slow() noexcept {
  if (failure_ != errc{}) return failure_;
  if (writer_.closed()) return errc::closed;
  if (gone_) return errc::peer_closed;
  if (writer_.claimed()) return errc::busy;
  // A message was given up half-way. The peer must learn that before anything else.
  std::byte* payload = nullptr;
  if (const errc e = writer_.claim(0, payload); e != errc{}) return fail(e);
  writer_.commit(0, record_header::abandon);
  abandon_due_ = false;
  return errc{};
}

errc endpoint::send_fragments(gather_list message, std::size_t size, std::size_t& sent) noexcept {
  if (sent == 0 && size <= max_claim()) {  // a single fragment would be taken for a message
    const errc e = try_send(message, size);
    if (e == errc{}) sent = size;
    return e;
  }
  if (const errc e = check_send(size); e != errc{}) return e;
  const std::size_t begun_at = sent;
  do {
    if (sent - begun_at >= slice) return errc::would_block;
    const std::size_t prefix = sent == 0 ? total_bytes : 0;
    const std::size_t length = writer_.fragment_length(size - sent + prefix);
    std::byte* payload = nullptr;
    if (const errc e = writer_.claim(length, payload); e != errc{}) return fail(e);
    if (prefix != 0) {
      const std::uint64_t total = size;
      std::memcpy(payload, &total, total_bytes);
    }
    copy_gathered(payload + prefix, message, sent, length - prefix);
    sent += length - prefix;
    writer_.commit(length, sent < size ? record_header::more : 0);
    fragments_begun_ = sent < size;
    publish();  // each fragment, held or not: the peer reads while this side writes
  } while (sent < size);
  count(own_.counters.messages_sent);
  count(own_.counters.bytes_sent, size);
  return errc{};
}

errc endpoint::send_some(gather_list bytes, std::size_t size, std::size_t& sent) noexcept {
  sent = 0;
  if (size == 0) return errc{};
  if (max_claim() == 0) return errc::message_too_large;  // the peer takes nothing
  const std::size_t unit = stream_unit(size);
  if (const errc e = check_send(unit); e != errc{}) return e;
  std::size_t length = 0;
  if (const errc e = writer_.fitting((std::min)(size, max_claim()), unit, length); e != errc{})
    return fail(e);
  if (length < unit) return fail(errc::would_block);
  std::byte* payload = nullptr;
  if (const errc e = writer_.claim(length, payload); e != errc{}) return fail(e);
  copy_gathered(payload, bytes, 0, length);
  commit(length);
  sent = length;
  return errc{};
}

void endpoint::abandon_fragments() noexcept {
  if (!std::exchange(fragments_begun_, false)) return;
  abandon_due_ = true;
  if (check_send(0) == errc{} && !held_) publish();
}

std::size_t endpoint::send_unit(std::size_t remaining) const noexcept {
  if (abandon_due_) return 0;
  return fragments_begun_ || remaining > writer_.max_record() ? writer_.fragment_length(remaining)
                                                              : remaining;
}

bool endpoint::can_send(std::size_t size) noexcept {
  if (failure_ != errc{} || gone_ || writer_.closed()) return true;
  const errc e = writer_.has_space(send_unit(size));
  if (e == errc::bad_peer) failure_ = e;
  return e != errc::would_block;
}

void endpoint::close_send() noexcept {
  if (writer_.closed() || aborted()) return;
  writer_.abandon();
  if (reader_.dirty()) reader_.publish();
  writer_.close();
  detail::park_fence();  // F2, F4
  look();
  due_ |= wake_receiver;  // whatever the peer waits for will not come
}

// -- receiving --

errc endpoint::nothing_there(errc e, bool moved) noexcept {
  // The fragments that were consumed are beyond the announced index, so the peer would not ring for
  // what follows.
  interrupted_ = moved && e == errc::would_block;
  if (e == errc::bad_peer) failure_ = e;
  // The hang-up came before this look at the ring, so everything that was published before the
  // hang-up has been seen.
  if (e == errc::would_block && gone_) return errc::peer_closed;
  return e;
}

errc endpoint::next_slow(record& r) noexcept {
  const position begun_at = reader_.read();
  interrupted_ = false;
  while (!reassembly_.complete()) {
    if (reader_.read() - begun_at >= slice) {
      interrupted_ = true;
      return errc::would_block;
    }
    if (const errc e = reader_.peek(r); e != errc{})
      return nothing_there(e, reader_.read() != begun_at);
    if (r.flags == 0 && !reassembly_.active)
      return r.length <= max_receive_ ? errc{} : fail(errc::bad_peer);
    if (const errc e = join(r); e != errc{}) return fail(e);
    reader_.advance(r);
    if (leases_ == 0) {
      reader_.release(reader_.read());
      if (reader_.publish_due()) publish();
    }
  }
  return errc{};
}

errc endpoint::join(const record& r) noexcept {
  if ((r.flags & record_header::abandon) != 0) {
    reassembly_ = {};
    return r.length == 0 && r.flags == record_header::abandon ? errc{} : errc::bad_peer;
  }
  const std::byte* from = r.payload;
  std::size_t length = r.length;
  if (!reassembly_.active) {
    std::uint64_t total = 0;
    if (length < total_bytes) return errc::bad_peer;
    std::memcpy(&total, from, total_bytes);
    from += total_bytes;
    length -= total_bytes;
    if (total > max_receive_ || total <= length) return errc::bad_peer;
    // The memory is not touched before bytes come for it, so a false length costs only address
    // space.
    reassembly_.bytes.reset(new (std::nothrow) std::byte[total]);
    if (!reassembly_.bytes) return errc::message_too_large;
    reassembly_.total = static_cast<std::size_t>(total);
    reassembly_.have = 0;
    reassembly_.active = true;
  }
  if (length > reassembly_.total - reassembly_.have) return errc::bad_peer;
  if (length != 0) std::memcpy(reassembly_.bytes.get() + reassembly_.have, from, length);
  reassembly_.have += length;
  const bool last = (r.flags & record_header::more) == 0;
  return last == (reassembly_.have == reassembly_.total) ? errc{} : errc::bad_peer;
}

void endpoint::close_receive() noexcept {
  if (reader_.closed() || aborted()) return;
  interrupted_ = false;
  reader_.close();
  detail::park_fence();  // F4
  look();
  due_ |= wake_sender;  // the peer's sends fail from now on
}

void endpoint::abort() noexcept {
  if (failure_ != errc{}) return;
  writer_.abandon();
  publish();
  failure_ = errc::closed;
}

// -- parking --

void endpoint::announce(bool for_data, bool for_space, std::size_t space_for) noexcept {
  // This comes before parking because the peer may sleep until it sees this space, and would not
  // see it before this side wakes.
  if (reader_.dirty()) reader_.publish();
  if (writer_.tail() != writer_.published()) writer_.publish();
  if (for_data) own_.data_wake_at.store(reader_.read(), std::memory_order_relaxed);  // R1
  if (for_space)
    own_.space_wake_at.store(writer_.space_wake_index(send_unit(space_for)),
                             std::memory_order_relaxed);  // S3
}

}  // namespace ringbell::ring
