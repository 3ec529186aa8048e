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
// while both are awake and without a wake-up that can be lost. After virtio's event index (Virtual
// I/O Device specification, 2.7.7.1, VIRTIO_F_EVENT_IDX).
//
// data_wake_at (written by the receiver, read by the sender; both map it, the sender read-only)
//
//   value v            the receiver ...                         the sender, publishing (old, new] ...
//   v <  old           is awake, or was woken for v already     stays silent
//   old <= v < new     sleeps, or is about to, until tail > v   rings
//   v >= new           sleeps, and wants more before it wakes   stays silent
//   never              has not slept yet                        stays silent
//
// space_wake_at is the same with the roles exchanged: written by the sender, who wants the head to
// pass it; read by the receiver when it publishes its head. Unsigned arithmetic makes "old <= v <
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
// Store buffering: without F1 or F2 both R2 and S2 may read the old value, the receiver sleeps, and
// nobody rings. With both, the fences are ordered one way or the other; whoever's fence is second
// sees the other's store. F3 and F4 likewise. R1 and S3 are relaxed since they carry no data: the
// fence orders them, and a stale one costs a bell too many. S1 and R3 release, R2 and S4 acquire
// for the ring's sake (ring_writer.hpp, ring_reader.hpp), not for parking.
//
// Nothing is cleared on waking: publishing past v makes it "was woken already". A cancelled wait
// leaves its index behind: one bell too many. A side publishes its head before it parks, else a
// sender that waits for that space would sleep for good. Closing is a bit in the published word and
// rings whoever sleeps or not: it can happen once. tests/model/park.pml is this table as a model;
// each fence, re-check and publication taken out makes it fail.
namespace ringbell {

/// The pieces of one message, in order.
using gather_list = std::span<const std::span<const std::byte>>;

}  // namespace ringbell

namespace ringbell::ring {

/// Whom a publication has to wake at the peer, as a set of bits.
using wake_set = unsigned;
inline constexpr wake_set wake_receiver = 1;  ///< it waits for our data
inline constexpr wake_set wake_sender = 2;    ///< it waits for space in its ring

/// Copies into a ring. More than fits a core's own cache goes in pieces: a memcpy of that much at
/// once uses ordinary stores on some processors (glibc on AMD: from the size of the second-level
/// cache on), each of which first fetches the line from the peer's core, and takes four times as
/// long.
inline void copy_to_ring(std::byte* to, const std::byte* from, std::size_t n) noexcept {
  constexpr std::size_t piece = std::size_t{256} << 10;
  for (; n > piece; n -= piece, to += piece, from += piece) std::memcpy(to, from, piece);
  std::memcpy(to, from, n);
}

/// Everything that an endpoint works on. `own` and `own_data` are this side's to write; `peer` and
/// `peer_data` are mapped read-only.
struct endpoint_memory {
  control_page* own = nullptr;
  std::byte* own_data = nullptr;
  std::uint64_t own_ring_bytes = 0;
  const control_page* peer = nullptr;
  const std::byte* peer_data = nullptr;
  std::uint64_t peer_ring_bytes = 0;
};

/// A received message: bytes in the peer's ring, or, when it came in fragments, in memory of its
/// own.
struct message_view {
  const std::byte* data = nullptr;
  std::size_t size = 0;
  position begin = 0;                   // where in the stream it lies, unless it was joined
  std::unique_ptr<std::byte[]> joined;  // owns the bytes of a message that came in fragments
};

/// One side of a pair of rings: sends, receives, and decides who sleeps and who must be woken.
/// Performs no system call and waits for nothing: a front end (native, Asio, a test) calls it,
/// rings the bell when `take_due()` says so, and sleeps after `announce()`.
///
/// `errc{}` means success. A peer that breaks the protocol makes every later call fail with
/// `errc::bad_peer`.
/// Thread-safety: one thread. Lifetime: the memory must outlive the object.
class endpoint {
public:
  /// `max_receive` is the longest message that the peer may send, `max_send` the longest that it
  /// takes, in bytes.
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

  /// The longest message that goes as one record, and so can be claimed.
  std::size_t max_claim() const noexcept { return (std::min)(writer_.max_record(), max_send_); }
  /// The longest message that the peer takes at all.
  std::size_t max_message() const noexcept { return max_send_; }

  /// Space in the ring for one message of up to `size` bytes. Then `commit` or `abandon`. Errors:
  /// `errc::would_block`, `errc::message_too_large`, `errc::busy` (there is a claim already),
  /// `errc::closed`, `errc::peer_closed`, `errc::bad_peer`.
  errc claim(std::size_t size, std::byte*& payload) noexcept;
  /// Sends the first `size` bytes of the claim as a message, and publishes it unless `hold(true)`.
  /// Does nothing if `close_send` ended the claim.
  void commit(std::size_t size) noexcept;
  void abandon() noexcept { writer_.abandon(); }

  /// Sends one message of at most `max_claim()` bytes: all of it, or nothing. Errors: those of
  /// `claim`.
  errc try_send(gather_list message, std::size_t size) noexcept;
  /// Sends a message of any length in fragments, going on at `sent`, which is moved on.
  /// `errc::would_block` when the rest has to wait for space, or has gone on for a while and others
  /// should have their turn; call again. A message begun must be ended, or given up by
  /// `abandon_fragments`.
  errc send_fragments(gather_list message, std::size_t size, std::size_t& sent) noexcept;
  /// Whether a message was begun that is to be ended.
  bool message_begun() const noexcept { return fragments_begun_; }
  /// Gives up a message begun: the peer forgets the fragments that it has.
  void abandon_fragments() noexcept;

  /// While held, committed messages are published together, with one fence and at most one bell for
  /// all: by `publish`, before parking, when space runs out, or when a quarter of the peer's ring
  /// is to be given back.
  void hold(bool held) noexcept { held_ = held; }
  /// Makes committed messages, and released space, known to the peer.
  void publish() noexcept;
  /// Whether messages were committed that the peer has not heard of.
  bool publish_pending() const noexcept { return writer_.tail() != writer_.published(); }
  /// Ends the stream of messages to the peer, after those committed.
  void close_send() noexcept;

  /// The position behind what was sent. When fragments have moved it after `announce`, announce
  /// again before sleeping.
  position sent_position() const noexcept { return writer_.tail(); }
  /// Whether a send of `size` bytes would now go on (or fail) without waiting.
  bool can_send(std::size_t size) noexcept;

  // -- receiving --

  /// The next message. Its bytes stay until `release`. Errors: `errc::would_block`,
  /// `errc::end_of_stream`, `errc::peer_closed` (it died; all that it had published was received),
  /// `errc::closed`, `errc::bad_peer`, `errc::message_too_large` (longer than `longest`, and so
  /// still there; or no memory to join it in). `message` must be a fresh one.
  errc receive(message_view& message, std::size_t longest = ~std::size_t{0}) noexcept;
  /// Whether `receive` would now give something else than `errc::would_block`.
  bool can_receive() noexcept;
  /// Whether the last look took in fragments without coming to the end of their message: more may
  /// be there already, and the index that `announce` gave is passed. Give others their turn, then
  /// announce and look again before sleeping.
  bool interrupted() const noexcept { return interrupted_; }
  /// Ends the loan of one received message that was not joined. `oldest` is the `begin` of the
  /// oldest one still on loan, or `read_position()`: the bytes before it go back to the peer, who
  /// hears of it when a quarter of the ring has gathered, when this side sends, or when it parks.
  void release(position oldest) noexcept;
  position read_position() const noexcept { return reader_.read(); }
  /// The peer's head as this side last saw it.
  position known_head() const noexcept { return writer_.known_head(); }
  /// Whether space was given back that the peer has not heard of.
  bool release_pending() const noexcept { return reader_.dirty(); }
  /// Ends the stream of messages from the peer: its sends fail from now on.
  void close_receive() noexcept;

  // -- waking and parking --

  /// Whom the peer's bell must be rung for, by what was published since the last call.
  wake_set take_due() noexcept { return std::exchange(due_, 0U); }

  /// First half of parking: publishes all there is to tell, and the indexes at which this side
  /// wants to be woken: for data, for space to send `space_for` bytes. Then comes
  /// `detail::park_fence()`, then `after_fence()`, then `can_receive()` / `can_send()`; only if
  /// these and `interrupted()` are false may it sleep.
  void announce(bool for_data, bool for_space, std::size_t space_for) noexcept;
  void after_fence() noexcept { look(); }

  /// The control socket hung up: no word of the peer's will change any more.
  void peer_gone() noexcept { gone_ = true; }
  bool gone() const noexcept { return gone_; }
  /// Why the channel is over, if the peer broke the protocol; else `errc{}`.
  errc failure() const noexcept { return failure_; }
  bool send_closed() const noexcept { return writer_.closed(); }
  bool receive_closed() const noexcept { return reader_.closed(); }

  channel_counters& counters() noexcept { return own_.counters; }

private:
  /// A message of which fragments have come.
  struct joiner {
    std::unique_ptr<std::byte[]> bytes;
    std::size_t total = 0;
    std::size_t have = 0;
    bool active = false;
    bool complete() const noexcept { return active && have == total; }
  };

  errc next(
      record& r) noexcept;  // takes in fragments until `r`, or the joined message, can be delivered
  errc next_slow(record& r) noexcept;
  errc join(const record& r) noexcept;
  errc nothing_there(errc e, bool moved) noexcept;
  errc check_send(std::size_t size) noexcept;
  errc check_send_slow() noexcept;
  errc fail(errc e) noexcept;
  std::size_t send_unit(std::size_t remaining) const noexcept;
  void look() noexcept;

  control_page& own_;
  const control_page& peer_;
  writer writer_;
  reader reader_;
  std::size_t max_receive_;
  std::size_t max_send_;
  position looked_tail_ =
      0;  // published positions that look() has compared with the peer's wake indexes
  position looked_head_ = 0;
  wake_set due_ = 0;
  unsigned loans_ = 0;  // messages received and not released
  errc failure_{};
  bool held_ = false;
  bool gone_ = false;
  bool fragments_begun_ = false;
  bool abandon_due_ = false;
  bool interrupted_ = false;
  joiner joiner_;
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
  // The head goes first: it lies in the line of the tail, and so reaches the peer with the message
  // at no cost.
  if (reader_.dirty()) reader_.publish();
  if (data) writer_.publish();
  detail::park_fence();  // F2 and F4
  look();
}

inline void endpoint::look() noexcept {
  const position tail = writer_.published();
  if (tail != looked_tail_) {
    const position wake_at = peer_.data_wake_at.load(std::memory_order_relaxed);  // S2
    if (tail - wake_at - 1 < tail - looked_tail_)
      due_ |= wake_receiver;
    else
      count(own_.counters.bells_suppressed);
    looked_tail_ = tail;
  }
  const position head = reader_.published();
  if (head != looked_head_) {
    const position wake_at = peer_.space_wake_at.load(std::memory_order_relaxed);  // R4
    if (head - wake_at - 1 < head - looked_head_) due_ |= wake_sender;
    looked_head_ = head;
  }
}

inline errc endpoint::next(record& r) noexcept {
  if (failure_ != errc{} || reader_.closed()) return failure_ != errc{} ? failure_ : errc::closed;
  if (!joiner_.active) {
    const errc e = reader_.peek(r);
    if (e != errc{}) return nothing_there(e, false);
    if (r.flags == 0) return r.length <= max_receive_ ? errc{} : fail(errc::bad_peer);
  }
  return next_slow(r);
}

inline errc endpoint::receive(message_view& message, std::size_t longest) noexcept {
  record r;
  if (const errc e = next(r); e != errc{}) return e;
  if ((joiner_.active ? joiner_.total : r.length) > longest) return errc::message_too_large;
  if (joiner_.active) {
    message.data = joiner_.bytes.get();
    message.size = joiner_.total;
    message.joined = std::move(joiner_.bytes);
    joiner_ = {};
  } else {
    message.data = r.payload;
    message.size = r.length;
    message.begin = reader_.read();
    reader_.advance(r);
    ++loans_;
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
  --loans_;
  reader_.release(oldest);
  if (reader_.publish_due()) publish();
}

}  // namespace ringbell::ring
