// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/errors.hpp>
#include <ringbell/ring/detail/park_fence.hpp>
#include <ringbell/ring/layout.hpp>
#include <ringbell/ring/reader.hpp>
#include <ringbell/ring/writer.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <utility>

// The park protocol: how a side sleeps until its peer has done something, without a system call
// while both are awake, and without losing a wake-up. It follows virtio's event index (Virtual I/O
// Device specification, 2.7.7.1, VIRTIO_F_EVENT_IDX).
//
// data_wake_at (written by the receiver, read by the sender; both map it, the sender read-only)
//
//   value v            the receiver ...                         the sender, publishing (old, new] ...
//   v <  old           is awake, or was woken for v already     stays silent
//   old <= v < new     sleeps, or is about to, until tail > v   rings
//   v >= new           sleeps, and wants more before it wakes   stays silent
//   never              has not slept yet                        stays silent
//
// space_wake_at is the same with the roles exchanged. The sender writes it, and wants the head to
// pass it. The receiver reads it when it publishes its head. Unsigned arithmetic makes "old <= v <
// new" one comparison: new - v - 1 < new - old.
//
//   receiver   R1 store data_wake_at (relaxed)      sender   S1 store tx_tail (release)
//              F1 fence (seq_cst)                            F2 fence (seq_cst)
//              R2 load tx_tail (acquire)                     S2 load data_wake_at (relaxed)
//              sleep only if nothing is there                ring if it was passed
//
//   sender     S3 store space_wake_at (relaxed)     receiver R3 store rx_head (release)
//              F3 fence (seq_cst)                            F4 fence (seq_cst)
//              S4 load rx_head (acquire)                     R4 load space_wake_at (relaxed)
//              sleep only if space lacks                     ring if it was passed
//
// Store buffering: without F1 or F2 both R2 and S2 may read the old value; then the receiver
// sleeps, and no bell is rung. With both, the fences have an order, and the side whose fence is
// second sees the store of the other. The same holds for F3 and F4. R1 and S3 are relaxed because
// they carry no data: the fence orders them, and a stale value costs one surplus bell. S1 and R3
// release, and R2 and S4 acquire, for the ring (writer.hpp, reader.hpp), not for parking.
//
// Nothing is cleared on waking: publishing past v makes it "was woken already". A cancelled wait
// leaves its index behind, which costs one surplus bell. A side publishes its head before it parks;
// otherwise a sender that waits for that space would sleep for good. Closing sets a bit in the
// published word, and rings whether or not the peer sleeps, because it can happen only once.
// tests/model/park.pml is a model of this table; it fails when any fence, re-check or publication
// is removed.
namespace ringbell {

/// The pieces of one message, in order.
using gather_list = std::span<const std::span<const std::byte>>;

}  // namespace ringbell

namespace ringbell::ring {

/// The sides of the peer that a publication has to wake, as a set of bits.
using wake_set = unsigned;
inline constexpr wake_set wake_receiver = 1;  ///< the peer's receiver waits for our data
inline constexpr wake_set wake_sender = 2;    ///< the peer's sender waits for space in its ring

/// Copies into a ring. A copy that is larger than a core's own cache is done in pieces. One large
/// memcpy uses ordinary stores on some processors (glibc on AMD does so from the size of the
/// second-level cache on). Each of these first fetches the line from the peer's core, and so the
/// copy takes four times as long.
inline void copy_to_ring(std::byte* to, const std::byte* from, std::size_t n) noexcept {
  constexpr std::size_t piece = std::size_t{256} << 10;
  for (; n > piece; n -= piece, to += piece, from += piece) std::memcpy(to, from, piece);
  std::memcpy(to, from, n);
}

/// The memory of an endpoint. This side writes `own` and `own_data`; `peer` and `peer_data` are
/// mapped read-only.
struct endpoint_memory {
  control_page* own = nullptr;
  std::byte* own_data = nullptr;
  std::uint64_t own_ring_bytes = 0;
  const control_page* peer = nullptr;
  const std::byte* peer_data = nullptr;
  std::uint64_t peer_ring_bytes = 0;
};

/// A received message. Its bytes are in the peer's ring or, when it came in fragments, in memory of
/// its own.
struct message_view {
  const std::byte* data = nullptr;
  std::size_t size = 0;
  position begin = 0;                   // its position in the stream, unless it was joined
  std::unique_ptr<std::byte[]> joined;  // owns the bytes of a message that came in fragments
};

/// One side of a pair of rings. It sends and receives, and decides which side sleeps and which must
/// be woken. It performs no system call and never waits: a front end (native, Asio, a test) calls
/// it, rings the bell when `take_due()` says so, and sleeps after `announce()`.
///
/// Errors: `errc{}` means success. After the peer has broken the protocol, every call fails with
/// `errc::bad_peer`.
/// Thread-safety: one thread.
/// Lifetime: the memory must outlive the object.
class endpoint {
public:
  /// `max_receive` is the size of the longest message that the peer may send, and `max_send` of the
  /// longest one that the peer accepts, in bytes.
  endpoint(const endpoint_memory& memory, std::size_t max_receive, std::size_t max_send) noexcept
      : own_(*memory.own),
        peer_(*memory.peer),
        writer_(*memory.own, memory.own_data, memory.own_ring_bytes, *memory.peer),
        reader_(*memory.own, *memory.peer, memory.peer_data, memory.peer_ring_bytes),
        max_receive_(max_receive),
        max_send_(max_send) {}
  endpoint(const endpoint&) = delete;
  endpoint& operator=(const endpoint&) = delete;

  // -- sending --

  /// The size of the longest message that is sent as one record, and so can be claimed, in bytes.
  std::size_t max_claim() const noexcept { return (std::min)(writer_.max_record(), max_send_); }
  /// The size of the longest message that the peer accepts, in bytes.
  std::size_t max_message() const noexcept { return max_send_; }

  /// Claims space in the ring for one message of up to `size` bytes. To be followed by `commit` or
  /// `abandon`.
  /// Errors: `errc::would_block`, `errc::message_too_large`, `errc::busy` (there is already a
  /// claim), `errc::closed`, `errc::peer_closed`, `errc::bad_peer`.
  errc claim(std::size_t size, std::byte*& payload) noexcept;
  /// Sends the first `size` bytes of the claim as a message, and publishes it unless `hold(true)`
  /// was called. Does nothing when `close_send` has ended the claim.
  void commit(std::size_t size) noexcept;
  void abandon() noexcept { writer_.abandon(); }

  /// Sends one message of at most `max_claim()` bytes, completely or not at all.
  /// Errors: those of `claim`.
  errc try_send(gather_list message, std::size_t size) noexcept;
  /// Sends a message of any length in fragments. It continues at `sent`, and advances it. A message
  /// that was begun must be finished, or given up by `abandon_fragments`.
  /// Errors: those of `claim`. `errc::would_block` means that the rest has to wait for space, or
  /// that the call has gone on for a while and other work should have its turn; call again.
  errc send_fragments(gather_list message, std::size_t size, std::size_t& sent) noexcept;
  /// Whether a message was begun and not finished.
  bool message_begun() const noexcept { return fragments_begun_; }
  /// Gives up a message that was begun: the peer drops the fragments that it has.
  void abandon_fragments() noexcept;

  /// While held, committed messages are published together, with one fence and at most one bell for
  /// all of them. They are published by `publish`, before parking, when space runs out, or when a
  /// quarter of the peer's ring is to be given back.
  void hold(bool held) noexcept { held_ = held; }
  /// Makes committed messages and released space visible to the peer.
  void publish() noexcept;
  /// Whether there are committed messages that are not published.
  bool publish_pending() const noexcept { return writer_.tail() != writer_.published(); }
  /// Ends the stream of messages to the peer, after the committed ones.
  void close_send() noexcept;

  /// The position after the last byte that was sent. When fragments have moved it after `announce`,
  /// announce again before sleeping.
  position sent_position() const noexcept { return writer_.tail(); }
  /// Whether a send of `size` bytes would now proceed (or fail) without waiting.
  bool can_send(std::size_t size) noexcept;

  /// Sends, as one record, as many of the bytes as fit now, for a stream that has no messages.
  /// `sent` is how many bytes were sent. While there is no room for `stream_unit(size)` bytes it
  /// returns `errc::would_block`, so that a full ring is not filled with tiny records.
  /// Errors: those of `claim`. `errc::message_too_large` when the peer takes no bytes at all.
  errc send_some(gather_list bytes, std::size_t size, std::size_t& sent) noexcept;
  /// The room that a stream waits for before it sends some of `size` bytes: at most a sixteenth of
  /// the ring.
  std::size_t stream_unit(std::size_t size) const noexcept {
    return (std::min)({size, max_claim(), narrowed<std::size_t>(writer_.capacity() / 16)});
  }

  // -- receiving --

  /// Receives the next message. Its bytes stay valid until `release`. `message` must be a new
  /// object.
  /// Errors: `errc::would_block`, `errc::end_of_stream`, `errc::peer_closed` (the peer died, and
  /// everything that it had published was received), `errc::closed`, `errc::bad_peer`,
  /// `errc::message_too_large` (the message is longer than `longest` and stays in the ring, or
  /// there is no memory to join it in).
  errc receive(message_view& message, std::size_t longest = ~std::size_t{0}) noexcept;
  /// Whether `receive` would now return something other than `errc::would_block`.
  bool can_receive() noexcept;
  /// Whether the last look consumed fragments without reaching the end of their message. More may
  /// already be there, and the index that `announce` published has been passed. Give other work its
  /// turn, then announce and look again before sleeping.
  bool interrupted() const noexcept { return interrupted_; }
  /// Ends the lease of one received message that was not joined. `oldest` is the `begin` of the
  /// oldest message that still has a lease, or `read_position()`. The bytes before it go back to
  /// the peer. They are published when a quarter of the ring has gathered, when this side sends, or
  /// when it parks.
  void release(position oldest) noexcept;
  position read_position() const noexcept { return reader_.read(); }
  /// The peer's head as this side last saw it.
  position known_head() const noexcept { return writer_.known_head(); }
  /// Whether space was given back and not published.
  bool release_pending() const noexcept { return reader_.dirty(); }
  /// Ends the stream of messages from the peer, whose sends fail from now on.
  void close_receive() noexcept;

  // -- waking and parking --

  /// The sides of the peer for which the bell must be rung, because of publications since the last
  /// call.
  wake_set take_due() noexcept { return std::exchange(due_, 0U); }

  /// The first half of parking: publishes everything, including the indexes at which this side
  /// wants to be woken: for data, or for space to send `space_for` bytes. It is followed by
  /// `detail::park_fence()`, then `after_fence()`, then `can_receive()` and `can_send()`. This side
  /// may sleep only if these and `interrupted()` are false.
  void announce(bool for_data, bool for_space, std::size_t space_for) noexcept;
  void after_fence() noexcept { look(); }

  /// Ends both directions at once: what was committed is published, a message that was begun stays
  /// without an end, and nothing tells the peer that this side has closed. From now on every call
  /// fails with `errc::closed`, and `close_send` and `close_receive` do nothing. A channel that is
  /// over already stays as it is.
  void abort() noexcept;
  /// The front end has found that the peer broke the protocol: every call fails from now on.
  void refuse_peer() noexcept {
    if (failure_ == errc{}) failure_ = errc::bad_peer;
  }
  /// To be called when the control socket hung up: no word of the peer will change any more.
  void peer_gone() noexcept { gone_ = true; }
  bool gone() const noexcept { return gone_; }
  /// Why the channel is over: `errc::bad_peer` when the peer broke the protocol, `errc::closed`
  /// after `abort`; otherwise `errc{}`.
  errc failure() const noexcept { return failure_; }
  bool send_closed() const noexcept { return writer_.closed(); }
  bool receive_closed() const noexcept { return reader_.closed(); }

  channel_counters& counters() noexcept { return own_.counters; }

private:
  /// A message of which some fragments have come.
  struct reassembly {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t total = 0;
    std::size_t have = 0;
    bool active = false;
    bool complete() const noexcept { return active && have == total; }
  };

  /// Consumes fragments until `r`, or the joined message, can be delivered.
  errc next(record& r) noexcept;
  errc next_slow(record& r) noexcept;
  errc join(const record& r) noexcept;
  errc nothing_there(errc e, bool moved) noexcept;
  errc check_send(std::size_t size) noexcept;
  errc check_send_slow() noexcept;
  bool aborted() const noexcept { return failure_ == errc::closed; }
  errc fail(errc e) noexcept;
  std::size_t send_unit(std::size_t remaining) const noexcept;
  void look() noexcept;

  control_page& own_;
  const control_page& peer_;
  writer writer_;
  reader reader_;
  std::size_t max_receive_;
  std::size_t max_send_;
  /// The published positions that look() has compared with the peer's wake indexes.
  position checked_tail_ = 0;
  position checked_head_ = 0;
  wake_set due_ = 0;
  unsigned leases_ = 0;  // messages that were received and not released
  errc failure_{};
  bool held_ = false;
  bool gone_ = false;
  bool fragments_begun_ = false;
  bool abandon_due_ = false;
  bool interrupted_ = false;
  reassembly reassembly_;
};

inline errc endpoint::check_send(std::size_t size) noexcept {
  if (size > max_send_) return errc::message_too_large;
  if (gone_ || abandon_due_ || writer_.closed() || writer_.claimed() || failure_ != errc{})
    return check_send_slow();
  return errc{};
}

inline errc endpoint::claim(std::size_t size, std::byte*& payload) noexcept {
  if (const errc e = check_send(size); e != errc{}) return e;
  if (size > writer_.max_record()) return errc::message_too_large;
  const errc e = writer_.claim(size, payload);
  return e == errc{} ? e : fail(e);
}

inline void endpoint::commit(std::size_t size) noexcept {
  if (!writer_.claimed()) return;
  writer_.commit(size);
  count(own_.counters.messages_sent);
  count(own_.counters.bytes_sent, size);
  if (!held_) publish();
}

inline errc endpoint::try_send(gather_list message, std::size_t size) noexcept {
  std::byte* to = nullptr;
  if (const errc e = claim(size, to); e != errc{}) return e;
  for (const auto piece : message) {
    if (piece.empty()) continue;
    copy_to_ring(to, piece.data(), piece.size());
    to += piece.size();
  }
  commit(size);
  return errc{};
}

inline void endpoint::publish() noexcept {
  const bool data = writer_.tail() != writer_.published();
  if (!data && !reader_.dirty()) return;
  // The head is stored first. It is in the same cache line as the tail, and so reaches the peer
  // with the message at no cost.
  if (reader_.dirty()) reader_.publish();
  if (data) writer_.publish();
  detail::park_fence();  // F2 and F4
  look();
}

inline void endpoint::look() noexcept {
  const position tail = writer_.published();
  if (tail != checked_tail_) {
    const position wake_at = peer_.data_wake_at.load(std::memory_order_relaxed);  // S2
    if (tail - wake_at - 1 < tail - checked_tail_)
      due_ |= wake_receiver;
    else
      count(own_.counters.bells_suppressed);
    checked_tail_ = tail;
  }
  const position head = reader_.published();
  if (head != checked_head_) {
    const position wake_at = peer_.space_wake_at.load(std::memory_order_relaxed);  // R4
    if (head - wake_at - 1 < head - checked_head_) due_ |= wake_sender;
    checked_head_ = head;
  }
}

inline errc endpoint::next(record& r) noexcept {
  if (failure_ != errc{} || reader_.closed()) return failure_ != errc{} ? failure_ : errc::closed;
  if (!reassembly_.active) {
    const errc e = reader_.peek(r);
    if (e != errc{}) return nothing_there(e, false);
    if (r.flags == 0) return r.length <= max_receive_ ? errc{} : fail(errc::bad_peer);
  }
  return next_slow(r);
}

inline errc endpoint::receive(message_view& message, std::size_t longest) noexcept {
  record r;
  if (const errc e = next(r); e != errc{}) return e;
  if ((reassembly_.active ? reassembly_.total : r.length) > longest) return errc::message_too_large;
  if (reassembly_.active) {
    message.data = reassembly_.bytes.get();
    message.size = reassembly_.total;
    message.joined = std::move(reassembly_.bytes);
    reassembly_ = {};
  } else {
    message.data = r.payload;
    message.size = r.length;
    message.begin = reader_.read();
    reader_.advance(r);
    ++leases_;
  }
  count(own_.counters.messages_received);
  count(own_.counters.bytes_received, message.size);
  return errc{};
}

inline bool endpoint::can_receive() noexcept {
  record r;
  return next(r) != errc::would_block;
}

inline void endpoint::release(position oldest) noexcept {
  --leases_;
  reader_.release(oldest);
  if (reader_.publish_due()) publish();
}

}  // namespace ringbell::ring
