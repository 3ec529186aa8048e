// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/asio_connection.hpp>
#include <ringbell/asio/error.hpp>
#include <ringbell/loop/detail/spin_limits.hpp>
#include <ringbell/ring/detail/park_fence.hpp>
#include <ringbell/sys/cpu.hpp>

#include <system_error>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

asio_connection::asio_connection(net::execution_context& context, connection_parts parts, client_slot slot)
    : connection(std::move(parts), std::move(slot)), waitable(context) {}

void asio_connection::start(net_error_code& error) {
  spin(policy_);
  compare_cpus();
  std::error_code system;
  bell_ = sys::doorbell::create(parts_.control, parts_.own_bell, system);
  error = to_net(system);
  if (!system) watch(bell_.native(), error);
}

void asio_connection::spin(spin_policy policy) {
  policy_ = chosen_spin(policy);
  if (policy_ == spin_policy::adaptive) limit_ = spin_limit();
}

void asio_connection::answer() noexcept {
  if (bell_.answer(parts_.control)) ring().peer_gone();
  kick();
  if (parked_at_ == clock::time_point()) return;
  history_.slept(clock::now() - parked_at_, limit_);
  parked_at_ = {};
}

template <class Look>
asio_connection::found asio_connection::poll(polling& p, Look look) noexcept {
  if (p.state == polling::undecided) p.state = worth_polling() ? polling::on : polling::over;
  if (p.state == polling::over) return found::nothing;
  clock::time_point slice_begun{};
  for (unsigned round = 1;; ++round) {
    if (look()) {
      history_.paid();
      count(ring().counters().spins_paid);
      p.state = polling::over;
      return found::something;
    }
    if (round % rounds_per_clock_read != 0) continue;
    // While this side spins for long, the peer may be waiting for space, as when it parks.
    ring().publish();
    ring_if_due();
    const clock::time_point now = clock::now();
    if (p.begun == clock::time_point()) p.begun = now;
    if (slice_begun == clock::time_point()) slice_begun = now;
    if (policy_ == spin_policy::adaptive && now - p.begun >= limit_) {
      history_.wasted();
      p.state = polling::over;
      return found::nothing;
    }
    if (now - slice_begun >= spin_slice) return found::nothing_yet;
  }
}

asio_connection::found asio_connection::poll_to_receive(polling& p) noexcept {
  return poll(p, [this] { return ring().can_receive(); });
}

template <class Look>
bool asio_connection::park(directions d, std::size_t to_send, bool polled, Look look) noexcept {
  if (++parks_ % parks_per_cpu_look == 0) compare_cpus();
  // Where a wait takes signals: a wait that begins hears of a hang-up that came before.
  (void)parts_.control.native();
  ring().announce((d & towards_us) != 0, (d & towards_peer) != 0, to_send);
  park_fence();
  ring().after_fence();
  const bool something = look();
  ring_if_due();
  // Fragments were taken in: the index that was announced is behind, and would ring no more.
  if (something || ((d & towards_us) && ring().interrupted())) return false;
  count(ring().counters().parks);
  if (limit_.count() != 0 && !polled) parked_at_ = clock::now();
  return true;
}

void asio_connection::end(ticket t) noexcept {
  waitable::end(t);
  abandon_rest();
}

void asio_connection::cancel(directions d) noexcept {
  waitable::cancel(d);
  abandon_rest();
}

void asio_connection::abandon_rest() noexcept {
  if (pending(towards_peer) || !ring().message_begun() || in_forked_child()) return;
  ring().abandon_fragments();
  ring_if_due();
}

void asio_connection::compare_cpus() noexcept {
  const int own = sys::only_cpu();
  own_page().only_cpu.store(own, std::memory_order_relaxed);
  same_cpu_ = own >= 0 && peer_page().only_cpu.load(std::memory_order_relaxed) == own;
}

void asio_connection::hang_up() noexcept {
  unwatch();
  bell_ = {};
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
