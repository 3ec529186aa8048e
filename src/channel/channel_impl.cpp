// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/detail/channel_impl.hpp>
#include <ringbell/loop/detail/futex_half.hpp>

namespace ringbell::detail {

namespace {

// Publishing before this many polls is not needed: an answer that is on its way arrives sooner.
constexpr unsigned polls_before_publish = 64;

}  // namespace

// -- waits --

void receive_wait::begin() noexcept {
  of_->receiving_.put(*this);
  if (of_->ring().can_receive())
    complete();  // it suspended only to let others have their turn
  else
    of_->stay_awake();
  of_->ring_if_due();
}

void send_wait::undo() noexcept {
  of_->ring().abandon_fragments();
  of_->ring_if_due();
}

// -- the channel --

channel_impl::channel_impl(loop& lp, connection_parts parts, client_slot slot) noexcept
    : connection(std::move(parts), std::move(slot)),
      loop_(&lp),
      budget_(&loop_access::budget_of(lp)),
      bell_(*this),
      control_(*this),
      data_futex_(*this),
      space_futex_(*this) {
  loop_access::add_resident(lp, *this);
}

std::error_code channel_impl::start() noexcept {
  compare_cpus();
  const bool by_socket = parts_.wakes_this == sys::bell_kind::socket;
  const std::uint32_t interest = by_socket ? event_read | event_hangup : event_hangup;
  std::error_code error = loop_access::watch(*loop_, parts_.control.native(), interest,
                                             watch_mode::edge, control_, control_key_);
  if (!error && parts_.wakes_this == sys::bell_kind::eventfd)
    error = loop_access::watch(*loop_, parts_.own_bell.native(), event_read, watch_mode::edge,
                               bell_, bell_key_);
  return error;
}

void channel_impl::hang_up() noexcept {
  if (loop_ && !in_forked_child()) stop_watching();
  polled_source::unlink();
}

void channel_impl::stop_watching() noexcept {
  loop_access::unwatch(*loop_, control_key_);
  loop_access::unwatch(*loop_, bell_key_);
  loop_access::unwatch(*loop_, data_futex_.key);
  loop_access::unwatch(*loop_, space_futex_.key);
}

// The peer sees that this side has closed. Messages and claims that are still held stay valid.
void channel_impl::loop_gone() noexcept {
  if (!in_forked_child()) {
    close_send();
    close_receive();
    stop_watching();
  }
  polled_source::unlink();
  loop_ = nullptr;
  budget_ = &no_budget_;
}

void channel_impl::on_control(std::uint32_t events) noexcept {
  bool hung_up = (events & (event_hangup | event_error | event_refused)) != 0;
  // Drained before the look at the ring, so that a bell rung after the look is a new event. A
  // socket that is not the bell is drained as well, where its handle does not tell a hang-up from
  // data.
  if (events & event_read) hung_up |= parts_.control.drain();
  if (hung_up) {
    loop_access::unwatch(*loop_, control_key_);
    ring().peer_gone();
  }
  look_again();
}

void channel_impl::look_again() noexcept {
  poll();
  // A wait that goes on must be announced again before the next sleep, because the look may have
  // received or sent a part of a message.
  if (waiting_to_receive() || waiting_to_send()) stay_awake();
}

bool channel_impl::poll() noexcept {
  bool any = false;
  if (waiting_to_receive() && ring().can_receive()) {
    receiving_->complete();
    any = true;
  }
  if (waiting_to_send() && ring().can_send(sending_->remaining()) && sending_->try_again())
    any = true;
  if (any) {
    polls_in_vain_ = 0;
  } else if (++polls_in_vain_ % polls_before_publish == 0) {
    // A side that spins for long is like one that parks: the peer may be waiting for the space or
    // the messages that were held back.
    ring().publish();
  }
  ring_if_due();
  if (any) {
    if (!std::exchange(parked_, false)) ring::count(ring().counters().spins_paid);
    loop_access::woken(*loop_, *this);
  }
  return any;
}

void channel_impl::announce() noexcept {
  compare_cpus();
  const bool for_space = waiting_to_send();
  ring().announce(waiting_to_receive(), for_space, for_space ? sending_->remaining() : 0);
}

bool channel_impl::recheck() noexcept {
  ring().after_fence();
  ring_if_due();
  const ring::position sent_before = ring().sent_position();
  if (poll()) return true;
  // Fragments were received or sent. The announced index has been passed and would not ring again.
  if ((waiting_to_receive() && ring().interrupted()) || ring().sent_position() != sent_before)
    return true;
  if (!waiting_to_receive() && !waiting_to_send()) return false;
  if (parts_.wakes_this == sys::bell_kind::futex && !wait_on_futexes()) return true;
  parked_ = true;
  ring::count(ring().counters().parks);
  return false;
}

bool channel_impl::wait_on_futexes() noexcept {
  // The kernel compares the word again when the wait begins. If the index has moved by then, the
  // wait ends at once.
  std::error_code error;
  if (waiting_to_receive() && !data_futex_.key)
    error = loop_access::watch_futex(*loop_, futex_half(peer_page().tx_tail),
                                     static_cast<std::uint32_t>(ring().read_position()),
                                     data_futex_, data_futex_.key);
  if (!error && waiting_to_send() && !space_futex_.key)
    error = loop_access::watch_futex(*loop_, futex_half(peer_page().rx_head),
                                     static_cast<std::uint32_t>(ring().known_head()), space_futex_,
                                     space_futex_.key);
  return !error;
}

void channel_impl::compare_cpus() noexcept {
  const int own = loop_access::only_cpu(*loop_);
  own_page().only_cpu.store(own, std::memory_order_relaxed);
  same_cpu_ = own >= 0 && peer_page().only_cpu.load(std::memory_order_relaxed) == own;
}

void channel_impl::publish_later() noexcept {
  if (!loop_) return ring().publish();  // no loop will do it later
  if (polled_source::linked()) return;
  pollable = false;  // no coroutine waits; the loop only has to publish before it sleeps
  loop_access::keep_awake(*loop_, *this);
}

// -- the halves --

void channel_impl::close_send() noexcept {
  if (waiting_to_send()) {
    if (sending_->begun()) ring().abandon_fragments();
    sending_->decide(errc::closed);
  }
  ring().close_send();
  ring_if_due();
}

void channel_impl::close_receive() noexcept {
  if (waiting_to_receive()) receiving_->decide(errc::closed);
  ring().close_receive();
  ring_if_due();
}

void channel_impl::abort() noexcept {
  if (in_forked_child()) return;
  if (waiting_to_send()) sending_->decide(errc::closed);
  if (waiting_to_receive()) receiving_->decide(errc::closed);
  connection::abort();
  // The peer sees the hang-up when the socket is closed; on Windows there is no other one.
  if (loop_) stop_watching();
  parts_.control = sys::local_socket();
}

// The slot is given back with the second half, because messages and claims that are still held do
// not count as a client.
void channel_impl::drop_sender() noexcept {
  if (halves_ == 1) slot_.release();
  if (!in_forked_child()) close_send();
  sending_.lose_object();
  half_dropped();
}

void channel_impl::drop_receiver() noexcept {
  if (halves_ == 1) slot_.release();
  if (!in_forked_child()) close_receive();
  receiving_.lose_object();
  half_dropped();
}

void channel_impl::half_dropped() noexcept {
  if (--halves_ == 0) orphan();
}

}  // namespace ringbell::detail
