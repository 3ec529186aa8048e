// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/detail/client_slot.hpp>
#include <ringbell/ring/endpoint.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/local_socket.hpp>
#include <ringbell/sys/region.hpp>

#include <cstddef>
#include <utility>

namespace ringbell::detail {

class connection;

/// A lease keeps ring space reserved while a received message uses it. The leases of a connection
/// form a list in the order of receiving. Moving a message moves its lease.
class lease {
public:
  lease() noexcept = default;
  inline lease(connection* from, ring::position begin) noexcept;
  inline lease(lease&& other) noexcept;
  inline lease& operator=(lease&& other) noexcept;
  inline ~lease();

private:
  friend class connection;
  inline void take_place_of(lease& other) noexcept;
  inline void give_back() noexcept;

  connection* from_ = nullptr;
  lease* older_ = nullptr;
  lease* newer_ = nullptr;
  ring::position begin_ = 0;
};

/// What a completed handshake leaves: all that a connection is made of.
struct connection_parts {
  sys::region own;
  sys::peer_region peer;
  sys::local_socket control;
  sys::event_bell own_bell;   // wakes this side; empty unless `wakes_this` is eventfd
  sys::event_bell peer_bell;  // wakes the peer; empty unless `wakes_peer` is eventfd
  sys::bell_kind wakes_this = sys::bell_kind::socket;
  sys::bell_kind wakes_peer = sys::bell_kind::socket;
  std::uint64_t own_ring_bytes = 0;
  std::uint64_t peer_ring_bytes = 0;
  std::size_t max_receive = 0;
  std::size_t max_send = 0;
  sys::peer_identity who;
};

/// Creates a region with a fresh control page and `ring_bytes` bytes of data.
/// Errors: as `sys::region::create`.
sys::region create_ring_region(std::uint64_t ring_bytes, std::error_code& error) noexcept;
/// Maps a peer's region for a ring of `ring_bytes`, the size that the peer announced, and checks
/// the constants in its control page. Closes the handle.
/// Errors: `errc::bad_region`, and those of `sys::peer_region::map`.
sys::peer_region map_ring_region(sys::foreign_handle from_peer, std::uint64_t ring_bytes,
                                 std::error_code& error) noexcept;

/// Ends a connection that no front end has taken: the peer sees both directions closed in order.
void end_connection(connection_parts parts) noexcept;

/// An endpoint with its memory, control socket and bells: a channel without the waiting. Front ends
/// derive from it.
///
/// Thread-safety: one thread.
/// Lifetime: it lives as long as its channel, and then until the last message, claim and other user
/// of it is gone.
class connection {
public:
  explicit connection(connection_parts parts, client_slot slot = {}) noexcept;
  connection(const connection&) = delete;
  connection& operator=(const connection&) = delete;

  ring::endpoint& ring() noexcept { return ring_; }
  const connection_parts& parts() const noexcept { return parts_; }

  /// Rings the peer's bell if the last publication calls for it. If committed messages are held
  /// back, asks the front end to publish them later.
  void ring_if_due() noexcept {
    if (const ring::wake_set due = ring_.take_due()) ring_bell(due);
    if (ring_.publish_pending()) publish_later();
  }

  /// A claim, or an operation of a front end, has a reference. It may outlive the channel.
  void add_reference() noexcept { ++references_; }
  void release_reference() noexcept {
    --references_;
    if (orphaned_) delete_if_unused();
  }

  /// For statistics: the bytes that the peer has published and this side has not consumed, and the
  /// bytes that this side has sent and the peer has not consumed. Both depend on what the peer
  /// wrote, so they may be any number.
  std::uint64_t unread_bytes() noexcept {
    return (peer_page().tx_tail.load(std::memory_order_relaxed) & ~std::uint64_t{7}) -
           ring_.read_position();
  }
  std::uint64_t unconsumed_bytes() noexcept {
    return ring_.sent_position() -
           (peer_page().rx_head.load(std::memory_order_relaxed) & ~std::uint64_t{7});
  }

  /// Gives space back to the peer: up to the oldest lease, or all that was received.
  void give_back() noexcept {
    ring_.release(oldest_ ? oldest_->begin_ : ring_.read_position());
    ring_if_due();
    if (ring_.release_pending()) publish_later();
  }

  /// Ends the claim: sends the first `size` bytes of it, or nothing.
  void commit(std::size_t size) noexcept;
  void abandon() noexcept { ring_.abandon(); }

  /// Ends both directions at once. The peer receives what was sent, and no end. The front end then
  /// has to close the control socket: the hang-up looks like the death of this process. In a forked
  /// child it does nothing.
  void abort() noexcept;
  /// The front end is gone: closes both directions, hangs up, and deletes this object as soon as
  /// nothing uses it. In a forked child it only gives up the child's copies.
  void orphan() noexcept;

protected:
  virtual ~connection() { sys::unmap(std::move(parts_.own), std::move(parts_.peer)); }
  /// Called when space was given back, or messages were held back, and the peer does not know of it
  /// yet. No coroutine need be waiting. The front end has to publish() before its thread sleeps.
  virtual void publish_later() noexcept {}
  /// Stops all watching. Called once, before the control socket is closed.
  virtual void hang_up() noexcept {}

  /// Whether this is a forked child's copy. The child shares the regions, the bells and the
  /// kernel's watches with its parent, which goes on using them.
  bool in_forked_child() noexcept { return own_page().process_id != sys::current_process(); }

  ring::control_page& own_page() noexcept {
    return *static_cast<ring::control_page*>(static_cast<void*>(parts_.own.data()));
  }
  const ring::control_page& peer_page() const noexcept {
    return *static_cast<const ring::control_page*>(static_cast<const void*>(parts_.peer.data()));
  }

  connection_parts parts_;
  // Given back before the peer hears of the end, because the peer may connect again at once, to a
  // listener in another thread.
  client_slot slot_;

private:
  friend class lease;
  void add_lease(lease& item) noexcept {
    item.older_ = newest_;
    (newest_ ? newest_->newer_ : oldest_) = &item;
    newest_ = &item;
  }
  void remove_lease(lease& item) noexcept {
    (item.older_ ? item.older_->newer_ : oldest_) = item.newer_;
    (item.newer_ ? item.newer_->older_ : newest_) = item.older_;
    if (orphaned_) return delete_if_unused();  // no send waits for this space any more
    give_back();
  }
  void ring_bell(ring::wake_set due) noexcept;
  void delete_if_unused() noexcept;

  ring::endpoint ring_;
  lease* oldest_ = nullptr;
  lease* newest_ = nullptr;
  unsigned references_ = 0;
  bool orphaned_ = false;
};

inline void add_reference(connection& c) noexcept { c.add_reference(); }
inline void release_reference(connection& c) noexcept { c.release_reference(); }

inline lease::lease(connection* from, ring::position begin) noexcept : from_(from), begin_(begin) {
  if (from_) from_->add_lease(*this);
}
inline lease::lease(lease&& other) noexcept { take_place_of(other); }
inline lease& lease::operator=(lease&& other) noexcept {
  if (this != &other) {
    give_back();
    take_place_of(other);
  }
  return *this;
}
inline lease::~lease() { give_back(); }

inline void lease::take_place_of(lease& other) noexcept {
  from_ = std::exchange(other.from_, nullptr);
  if (!from_) return;
  begin_ = other.begin_;
  older_ = other.older_;
  newer_ = other.newer_;
  (older_ ? older_->newer_ : from_->oldest_) = this;
  (newer_ ? newer_->older_ : from_->newest_) = this;
}
inline void lease::give_back() noexcept {
  if (auto* from = std::exchange(from_, nullptr)) from->remove_lease(*this);
}

}  // namespace ringbell::detail
