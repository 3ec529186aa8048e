// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/ring/endpoint.hpp>
#include <ringbell/sys/futex.hpp>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <thread>
#include <vector>

#include "support/endpoint_pair.hpp"
#include "support/patience.hpp"

/// Two threads, one per side of an `endpoint_pair`, that send and receive at random, park after
/// short spins, and check every byte. A wake-up that was lost shows as a sleep of many seconds; the
/// process then ends with a message.
namespace traffic {

using namespace ringbell;

struct plan {
  std::uint64_t messages;  // per direction
  std::uint64_t a_ring;
  std::uint64_t b_ring;
  std::uint64_t seed;
};

struct outcome {
  std::uint64_t received = 0;
  std::uint64_t sleeps = 0;
  std::uint64_t bells = 0;
};

[[noreturn]] inline void die(const char* what, std::uint64_t seed) {
  std::fprintf(stderr, "traffic with seed %llu: %s\n", static_cast<unsigned long long>(seed), what);
  std::abort();
}

/// What a parked side sleeps on. Relaxed throughout: it must not order what the endpoints
/// themselves have to order.
class test_bell {
public:
  void ring() noexcept {
    rung_.store(1, std::memory_order_relaxed);
    sys::futex_wake(rung_, 1, sys::futex_scope::private_);
  }
  bool wait() noexcept {
    const auto deadline = std::chrono::steady_clock::now() + test::patience;
    while (rung_.exchange(0, std::memory_order_relaxed) == 0)
      if (sys::futex_wait(rung_, 0, sys::futex_scope::private_, deadline)) return false;
    return true;
  }

private:
  sys::futex_word rung_{0};
};

/// Whether this system has what it takes: macOS has since 14.4.
inline bool can_sleep() noexcept {
  return sys::futex_wait(sys::futex_word{1}, 0, sys::futex_scope::private_) != errc::not_supported;
}

/// The size and bytes of the n-th message follow from n, so that its receiver knows them.
class content {
public:
  content() : pool_(longest + 256) {
    std::mt19937 random(7);
    for (auto& one : pool_) one = static_cast<std::byte>(random());
  }
  std::span<const std::byte> of(std::uint64_t n) const noexcept {
    std::uint64_t h = (n + 1) * 0x9e3779b97f4a7c15u;
    h ^= h >> 29;
    const std::uint64_t kind = h % 1000;
    h = (h * 0xbf58476d1ce4e5b9u) >> 20;
    const std::uint64_t size = kind < 700   ? h % 129
                               : kind < 970 ? h % 1001
                               : kind < 998 ? h % 2041
                                            : h % (longest + 1);
    return {pool_.data() + n % 251, static_cast<std::size_t>(size)};
  }

private:
  static constexpr std::size_t longest = 20000;  // far more than a ring: goes in fragments
  std::vector<std::byte> pool_;
};

class side {
public:
  side(ring::endpoint& ring, test_bell& own, test_bell& peer, const content& all,
       std::uint64_t messages, std::uint64_t seed)
      : ring_(ring),
        own_(own),
        peer_(peer),
        all_(all),
        messages_(messages),
        seed_(seed),
        random_(seed) {}

  void run() {
    while (!ended_ || !closed_) {
      const bool sent = send_some();
      const bool moved = receive_some() || sent;
      if (ended_ && closed_) break;
      if (!moved) wait();
    }
  }
  outcome result() const noexcept { return {received_, sleeps_, bells_}; }

private:
  struct lease {
    ring::position begin;
    bool held;
  };

  std::uint64_t below(std::uint64_t limit) { return random_() % limit; }
  void ring_if_due() {
    if (ring_.take_due() == 0) return;
    ++bells_;
    peer_.ring();
  }

  bool send_some() {
    bool moved = false;
    const bool batch = below(4) == 0;
    ring_.hold(batch);
    for (std::uint64_t burst = below(12); burst > 0 && next_ < messages_ && send_one(); --burst)
      moved = true;
    ring_.hold(false);
    if (batch && below(2) != 0) ring_.publish();
    if (next_ == messages_ && !closed_) {
      ring_.close_send();
      closed_ = moved = true;
    }
    ring_if_due();
    return moved;
  }

  // False when it has to wait for space.
  bool send_one() {
    const auto message = all_.of(next_);
    errc e{};
    if (message.size() > ring_.max_claim()) {
      e = ring_.send_fragments({&message, 1}, message.size(), sent_);
      if (e == errc::would_block && sent_ != 0 && below(16) == 0) {
        ring_.abandon_fragments();  // and begin anew
        sent_ = 0;
      }
    } else if (below(2) != 0) {
      e = ring_.try_send({&message, 1}, message.size());
    } else {
      std::byte* to = nullptr;
      e = ring_.claim(message.size() + below(ring_.max_claim() - message.size() + 1), to);
      if (e == errc{}) {
        if (!message.empty()) std::memcpy(to, message.data(), message.size());
        if (below(16) == 0) {
          ring_.abandon();
          return true;
        }
        ring_.commit(message.size());
      }
    }
    if (e == errc{}) {
      ++next_;
      sent_ = 0;
      return true;
    }
    if (e != errc::would_block) die("a send failed", seed_);
    return false;
  }

  bool receive_some() {
    bool moved = false;
    for (std::uint64_t burst = 1 + below(12); burst > 0 && !ended_; --burst) {
      ring::message_view m;
      const errc e = ring_.receive(m);
      if (e == errc::would_block) break;
      moved = true;
      if (e == errc::end_of_stream) {
        ended_ = true;
        if (received_ != messages_) die("the stream ended early", seed_);
        break;
      }
      if (e != errc{}) die("a receive failed", seed_);
      const auto expected = all_.of(received_++);
      if (m.size != expected.size() ||
          (m.size != 0 && std::memcmp(m.data, expected.data(), m.size) != 0))
        die("a message has changed", seed_);
      if (!m.joined) leases_.push_back({m.begin, true});
      while (held_count() > below(5)) release_any();
    }
    ring_if_due();
    return moved;
  }

  std::size_t held_count() const {
    return static_cast<std::size_t>(std::ranges::count(leases_, true, &lease::held));
  }
  void release_any() {
    std::size_t which = below(leases_.size());
    while (!leases_[which].held) which = (which + 1) % leases_.size();
    leases_[which].held = false;
    const auto oldest = std::ranges::find(leases_, true, &lease::held);
    leases_.erase(leases_.begin(), oldest);
    ring_.release(leases_.empty() ? ring_.read_position() : leases_.front().begin);
  }

  void wait() {
    while (held_count() != 0) release_any();
    ring_if_due();
    for (std::uint64_t spins = below(40); spins > 0; --spins)
      if (ready()) return;

    ring_.announce(!ended_, next_ < messages_, rest());
    detail::park_fence();
    ring_.after_fence();
    ring_if_due();
    if (ready() || ring_.interrupted()) return;
    ++sleeps_;
    if (!own_.wait()) die("a wake-up was lost", seed_);
  }
  std::size_t rest() const noexcept {
    return next_ < messages_ ? all_.of(next_).size() - sent_ : 0;
  }
  // What a look took in may be released by it, and the peer then be due a bell.
  bool ready() {
    const bool yes =
        (!ended_ && ring_.can_receive()) || (next_ < messages_ && ring_.can_send(rest()));
    ring_if_due();
    return yes;
  }

  ring::endpoint& ring_;
  test_bell& own_;
  test_bell& peer_;
  const content& all_;
  std::uint64_t messages_;
  std::uint64_t seed_;
  std::mt19937_64 random_;
  std::vector<lease> leases_;
  std::uint64_t next_ = 0;
  std::uint64_t received_ = 0;
  std::uint64_t sleeps_ = 0;
  std::uint64_t bells_ = 0;
  std::size_t sent_ = 0;
  bool ended_ = false;
  bool closed_ = false;
};

inline outcome exchange(const plan& p) {
  const content all;
  endpoint_pair pair(p.a_ring, p.b_ring);
  std::array<test_bell, 2> bells;
  side a(pair.a, bells[0], bells[1], all, p.messages, p.seed);
  side b(pair.b, bells[1], bells[0], all, p.messages, p.seed + 1);
  std::thread other([&b] { b.run(); });
  a.run();
  other.join();
  outcome sum = a.result();
  sum.received += b.result().received;
  sum.sleeps += b.result().sleeps;
  sum.bells += b.result().bells;
  return sum;
}

}  // namespace traffic
