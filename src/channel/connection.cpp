// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/detail/connection.hpp>
#include <ringbell/loop/detail/futex_half.hpp>

#include <chrono>
#include <limits>
#include <new>

namespace ringbell::detail {

namespace {

ring::endpoint_memory memory_of(const connection_parts& parts) noexcept {
  ring::endpoint_memory memory;
  memory.own = reinterpret_cast<ring::control_page*>(parts.own.data());
  memory.own_data = parts.own.data() + ring::control_bytes;
  memory.own_ring_bytes = parts.own_ring_bytes;
  memory.peer = reinterpret_cast<const ring::control_page*>(parts.peer.data());
  memory.peer_data = parts.peer.data() + ring::control_bytes;
  memory.peer_ring_bytes = parts.peer_ring_bytes;
  return memory;
}

}  // namespace

sys::region create_ring_region(std::uint64_t ring_bytes, std::error_code& error) noexcept {
  sys::region region =
      sys::region::create(ring::control_bytes + static_cast<std::size_t>(ring_bytes), error);
  if (error) return region;
  auto* page = new (region.data()) ring::control_page;
  page->ring_bytes = ring_bytes;
  page->process_id = sys::current_process();
  page->start_time = static_cast<std::uint64_t>(
      std::chrono::nanoseconds(std::chrono::steady_clock::now().time_since_epoch()).count());
  return region;
}

sys::peer_region map_ring_region(sys::foreign_handle from_peer, std::uint64_t ring_bytes,
                                 std::error_code& error) noexcept {
  sys::peer_region region = sys::peer_region::map(
      std::move(from_peer), ring::control_bytes + static_cast<std::size_t>(ring_bytes), error);
  if (error) return region;
  const auto* page = reinterpret_cast<const ring::control_page*>(region.data());
  if (page->magic != ring::region_magic || page->version != ring::layout_version ||
      page->ring_bytes != ring_bytes) {
    error = errc::bad_region;
    return sys::peer_region();
  }
  return region;
}

connection::connection(connection_parts parts, client_slot slot) noexcept
    : parts_(std::move(parts)),
      slot_(std::move(slot)),
      ring_(memory_of(parts_), parts_.max_receive, parts_.max_send) {}

void end_connection(connection_parts parts) noexcept {
  // Without memory, the peer only sees the hang-up.
  if (auto* unused = new (std::nothrow) connection(std::move(parts))) unused->orphan();
}

void connection::commit(std::size_t size) noexcept {
  if (orphaned_) return;
  ring_.commit(size);
  ring_if_due();
}

void connection::ring_bell(ring::wake_set due) noexcept {
  ring::count(ring_.counters().bells_rung);
  const auto wake = [](const sys::futex_word& word) {
    return sys::futex_wake(word, std::numeric_limits<int>::max(), sys::futex_scope::shared) >= 0;
  };
  bool rung = true;
  switch (parts_.wakes_peer) {
    case sys::bell_kind::eventfd: rung = !parts_.peer_bell.ring(); break;
    case sys::bell_kind::socket: rung = !parts_.control.ring(); break;
    case sys::bell_kind::futex:
      if (due & ring::wake_receiver) rung = wake(futex_half(own_page().tx_tail));
      if (due & ring::wake_sender) rung = wake(futex_half(own_page().rx_head)) && rung;
      break;
  }
  // Either the peer has gone, or it would sleep for ever because the bell did not reach it.
  // Shutting the socket down wakes it with a hang-up.
  if (!rung) parts_.control.shut_down();
}

void connection::abort() noexcept {
  if (in_forked_child()) return;
  ring_.abort();
  ring_if_due();
}

void connection::orphan() noexcept {
  slot_.release();
  // A forked child must not write to the shared memory, because that would end its parent's
  // channel. It must not ring either, because there is nothing to tell.
  if (!in_forked_child()) {
    ring_.close_send();
    ring_.close_receive();
    ring_if_due();
  }
  hang_up();
  parts_.control = sys::local_socket();
  orphaned_ = true;
  delete_if_unused();
}

void connection::delete_if_unused() noexcept {
  if (!oldest_ && references_ == 0) delete this;
}

}  // namespace ringbell::detail
