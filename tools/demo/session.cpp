// SPDX-License-Identifier: BSL-1.0
#include "demo/session.hpp"

#include "system/calls.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/coro/sleep.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <span>
#include <string>
#include <utility>
#include <vector>

namespace ringbell::tool::demo {

namespace {

using clock = loop::clock;

// Round trips before those that count: the spin has adapted by then, and both processes have woken
// up.
constexpr int warm_up = 200;
// How many bytes go from one look at the clock to the next.
constexpr std::size_t bytes_per_clock_read = 64 << 10;

std::uint64_t nanoseconds(clock::duration d) {
  return d.count() < 0 ? 0
                       : static_cast<std::uint64_t>(
                             std::chrono::duration_cast<std::chrono::nanoseconds>(d).count());
}

task<> warm_up_ring(channel& ch, std::size_t size) {
  const std::vector<std::byte> payload(size, std::byte{42});
  for (int i = 0; i < warm_up; ++i) {
    co_await ch.send(payload);
    co_await ch.recv();
  }
}

task<> ring_round_trips(channel& ch, std::size_t size, session::duration d, sample& s) {
  const std::vector<std::byte> payload(size, std::byte{42});
  clock::time_point last = clock::now();
  const clock::time_point begin = last;
  const clock::time_point end = begin + d;
  while (last < end) {
    co_await ch.send(payload);
    auto reply = co_await ch.recv();
    if (!reply) throw std::system_error(errc::peer_closed);
    reply->release();
    const clock::time_point now = clock::now();
    s.times.add(nanoseconds(now - last));
    last = now;
  }
  s.seconds = std::chrono::duration<double>(last - begin).count();
  s.messages = s.times.count() + warm_up;
  co_await ch.send(std::span<const std::byte>());
}

task<> ring_paced_round_trips(channel& ch, std::size_t size, session::duration period,
                              session::duration d, sample& s) {
  const std::vector<std::byte> payload(size, std::byte{42});
  const clock::time_point begin = clock::now();
  for (clock::time_point due = begin + period; due <= begin + d; due += period) {
    co_await sleep_until(due);
    co_await ch.send(payload);
    if (!co_await ch.recv()) throw std::system_error(errc::peer_closed);
    s.times.add(nanoseconds(clock::now() - due));
  }
  s.seconds = std::chrono::duration<double>(clock::now() - begin).count();
  s.messages = s.times.count();
  co_await ch.send(std::span<const std::byte>());
}

task<> push(channel& ch, std::size_t size, std::size_t batch, session::duration d, sample& s) {
  std::vector<std::byte> payload(size);
  for (std::size_t i = 0; i < size; ++i) payload[i] = static_cast<std::byte>(i * 31);
  const std::size_t per_look =
      std::max<std::size_t>(1, bytes_per_clock_read / std::max<std::size_t>(1, size * batch));
  const clock::time_point begin = clock::now();
  do {
    for (std::size_t i = 0; i < per_look; ++i) {
      if (batch == 1) {
        co_await ch.send(payload);
        continue;
      }
      const sender::batch together(ch.sender());
      for (std::size_t k = 0; k < batch; ++k) co_await ch.send(payload);
    }
    s.messages += per_look * batch;
  } while (clock::now() < begin + d);
  co_await ch.send(std::span<const std::byte>());

  std::uint64_t sum = 0;
  auto answer = co_await ch.recv();
  if (!answer || answer->size() != sizeof sum) throw std::system_error(errc::bad_peer);
  std::memcpy(&sum, answer->data(), sizeof sum);
  if (sum != s.messages * sum_of(payload))
    throw std::system_error(errc::bad_peer,
                            "the demo's server received other bytes than were sent");
  s.seconds = std::chrono::duration<double>(clock::now() - begin).count();
  s.bytes = s.messages * size;
}

void socket_round_trip(sys::native_handle socket, std::span<std::byte> payload) {
  std::array<std::byte, largest_echo> reply;
  if (!send_whole(socket, payload) || receive_some(socket, reply) != payload.size())
    throw std::system_error(errc::peer_closed);
}

void end_socket_phase(sys::native_handle socket) {
  const std::array<std::byte, socket_end> end{};
  if (!send_whole(socket, end)) throw std::system_error(errc::peer_closed);
}

}  // namespace

placement::placement() {
  const std::vector<int> usable = usable_processors();
  if (usable.empty()) return;
  usable_ = static_cast<unsigned>(usable.size());
  client_cpu_ = usable.front();
  server_cpu_ = usable.size() > 1 ? usable[1] : client_cpu_;
  const std::string first = impl_of(client_cpu_);
  const auto other =
      std::find_if(usable.begin(), usable.end(), [&](int cpu) { return impl_of(cpu) != first; });
  if (other != usable.end()) server_cpu_ = *other;
}

void placement::pin(int cpu) const noexcept {
  if (apart()) bind_to_processor(cpu);
}

void sample::add(const sample& other) {
  times.add(other.times);
  messages += other.messages;
  bytes += other.bytes;
  seconds += other.seconds;
  client = client + other.client;
  server = server + other.server;
}

session::session(const common_options& common) {
  const own_names names;
  server_.start(names, common, cpus_);
  cpus_.pin_client();
  // Sleeps end on time: both kinds of exchange are to be measured, not the kernel's gathering of
  // timers.
  ask_for_exact_sleeps();
  loop_ = std::make_unique<loop>(common.for_loop());
  channel_ = loop_->run(connect(*loop_, names / "demo", common.for_connect()));
  in_asio_ = asio_link::connect(names / "asio", common);
}

session::~session() {
  // Between two phases it leaves by itself; within one it is killed.
  const phase leave = phase::leave;
  if (std::uncaught_exceptions() != 0 ||
      !send_whole(server_.orders(), std::as_bytes(std::span(&leave, 1))))
    server_.kill();
  server_.join();
}

void session::order(phase what) {
  if (!send_whole(server_.orders(), std::as_bytes(std::span(&what, 1))))
    throw std::system_error(errc::peer_closed, "the demo's server");
}

template <class F>
sample session::measure(phase what, F f) {
  sample s;
  order(what);
  const usage before = usage_so_far(channel_, in_asio_.get());
  f(s);
  s.client = usage_so_far(channel_, in_asio_.get()) - before;
  if (!receive_whole(server_.orders(), std::as_writable_bytes(std::span(&s.server, 1))))
    throw std::system_error(errc::peer_closed, "the demo's server");
  return s;
}

sample session::ring_hot(std::size_t size, duration d) {
  return measure(phase::ring_echo, [&](sample& s) {
    loop_->run(warm_up_ring(channel_, size));
    loop_->run(ring_round_trips(channel_, size, d, s));
  });
}

sample session::asio_hot(std::size_t size, duration d) {
  return measure(phase::asio_echo, [&](sample& s) { in_asio_->round_trips(size, warm_up, d, s); });
}

sample session::ring_paced(std::size_t size, duration period, duration d) {
  return measure(phase::ring_echo, [&](sample& s) {
    loop_->run(ring_paced_round_trips(channel_, size, period, d, s));
  });
}

sample session::ring_one_way(std::size_t size, std::size_t batch, duration d) {
  return measure(phase::ring_sink,
                 [&](sample& s) { loop_->run(push(channel_, size, batch, d, s)); });
}

sample session::socket_hot(std::size_t size, duration d) {
  return measure(phase::socket_echo, [&](sample& s) {
    std::vector<std::byte> payload(size, std::byte{42});
    for (int i = 0; i < warm_up; ++i) socket_round_trip(server_.socket(), payload);
    clock::time_point last = clock::now();
    const clock::time_point begin = last;
    while (last < begin + d) {
      socket_round_trip(server_.socket(), payload);
      const clock::time_point now = clock::now();
      s.times.add(nanoseconds(now - last));
      last = now;
    }
    s.seconds = std::chrono::duration<double>(last - begin).count();
    s.messages = s.times.count() + warm_up;
    end_socket_phase(server_.socket());
  });
}

sample session::socket_paced(std::size_t size, duration period, duration d) {
  return measure(phase::socket_echo, [&](sample& s) {
    std::vector<std::byte> payload(size, std::byte{42});
    const clock::time_point begin = clock::now();
    for (clock::time_point due = begin + period; due <= begin + d; due += period) {
      sleep_until_blocking(due);
      socket_round_trip(server_.socket(), payload);
      s.times.add(nanoseconds(clock::now() - due));
    }
    s.seconds = std::chrono::duration<double>(clock::now() - begin).count();
    s.messages = s.times.count();
    end_socket_phase(server_.socket());
  });
}

}  // namespace ringbell::tool::demo
