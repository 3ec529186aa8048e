// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/detail/asio_connection.hpp>
#include <ringbell/asio/error.hpp>
#include <ringbell/loop/detail/tuning.hpp>
#include <ringbell/ring/detail/park_fence.hpp>
#include <ringbell/sys/cpu.hpp>

#include <system_error>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

asio_connection::asio_connection(net::execution_context& context, connection_parts parts,
                                 client_slot slot)
    : connection(std::move(parts), std::move(slot)), waitable(context) {}

void asio_connection::start(net_error_code& error) {
  use_policy(spin_policy::automatic);
  compare_cpus();
  std::error_code system;
  bell_ = sys::doorbell::create(parts_.control, parts_.own_bell, system);
  error = to_net(system);
  if (!system) watch(bell_.native(), error);
}

void asio_connection::use_policy(spin_policy policy) {
  spinner_ = spinner(policy);
  spinner_.measure();
}

void asio_connection::answer() noexcept {
  if (bell_.answer(parts_.control)) ring().peer_gone();
  kick();
  if (parked_at_ == clock::time_point()) return;
  history_.slept(clock::now() - parked_at_, spinner_.limit());
  parked_at_ = {};
}

template <class Look>
asio_connection::found asio_connection::poll(polling& p, Look look) noexcept {
  if (!std::exchange(p.decided, true) && !same_cpu_ && spinner_.worth_it(history_))
    p.current.begin();
  if (!p.current.on()) return found::nothing;
  spin_turn slice(objects_of_context() <= tuning::few_objects ? tuning::lone_spin_slice
                                                              : tuning::spin_slice);
  const auto outcome = spinner_.run(
      p.current, &slice, [&] { return look() ? spinner::looked::found : spinner::looked::nothing; },
      [&](clock::time_point) {
        p.polled = true;
        // While this side spins for long, the peer may be waiting for space, as it may while this
        // side parks.
        ring().publish();
        ring_if_due();
        return false;
      });
  if (outcome == spinner::outcome::turn_is_over) return found::nothing_yet;
  if (outcome == spinner::outcome::given_up) {
    history_.wasted();
    return found::nothing;
  }
  history_.paid();
  ring::count(ring().counters().spins_paid);
  return found::something;
}

asio_connection::found asio_connection::poll_to_receive(polling& p) noexcept {
  return poll(p, [this] { return ring().can_receive(); });
}

template <class Look>
bool asio_connection::park(directions d, std::size_t to_send, bool polled, Look look) noexcept {
  if (++parks_ % parks_per_cpu_look == 0) compare_cpus();
  // Makes a wait that begins now take signals, so that it sees a hang-up that came before.
  (void)parts_.control.native();
  ring().announce((d & towards_us) != 0, (d & towards_peer) != 0, to_send);
  park_fence();
  ring().after_fence();
  const bool something = look();
  ring_if_due();
  // Fragments were received. The announced index has been passed and would not ring again.
  if (something || ((d & towards_us) && ring().interrupted())) return false;
  ring::count(ring().counters().parks);
  if (spinner_.limit().count() != 0 && !polled) parked_at_ = clock::now();
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
