// SPDX-License-Identifier: BSL-1.0
#include "native_link.hpp"

#include "contenders.hpp"
#include "native_backends.hpp"
#include "ring_size.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/sender.hpp>

#include <algorithm>
#include <cstring>
#include <memory>
#include <optional>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

namespace ringbell::bench {

namespace {

/// Looks at all the bytes of a message, where they lie.
std::uint64_t read_in_place(const std::byte* bytes, std::size_t size) noexcept {
  std::uint64_t sum = 0;
  std::uint64_t word = 0;
  for (std::size_t i = 0; i + sizeof word <= size; i += sizeof word) {
    std::memcpy(&word, bytes + i, sizeof word);
    sum += word;
  }
  return sum;
}

/// The application, which makes its message in place, some of it at a time as encoders and decoders
/// do.
void make_message(std::span<std::byte> space, const std::byte* content) noexcept {
  constexpr std::size_t some = std::size_t{64} << 10;
  for (std::size_t done = 0; done < space.size(); done += some)
    std::memcpy(space.data() + done, content + done, std::min(some, space.size() - done));
}

void take(std::optional<message>& from, payload& bytes) {
  if (!from || from->size() != bytes.in.size())
    throw std::runtime_error("the peer has ended the stream, or sent another size");
  std::memcpy(bytes.in.data(), from->data(), bytes.in.size());
}

}  // namespace

native_link::native_link(const native_kind& kind, const link_options& options)
    : kind_(kind), path_(options.path), ring_bytes_(ring_bytes_for(options.size)) {}

void native_link::listen() {
  loop_ = std::make_unique<loop>(kind_.options);
  listener_options options;
  options.default_ring_bytes = ring_bytes_;
  options.max_ring_bytes = std::max(options.max_ring_bytes, ring_bytes_);
  listener_.emplace(listener::bind(*loop_, path_, options));
}

void native_link::accept() {
  finish(accept_one());
  listener_.reset();
}

void native_link::connect() {
  loop_ = std::make_unique<loop>(kind_.options);
  finish(connect_one());
}

void native_link::finish(task<> what) { loop_->run(std::move(what)); }

void native_link::ping(const slice& s, times& t) {
  payload bytes(s.size);
  with_stopwatch(s, t, [&](auto& watch) { finish(ping_with(s, bytes, watch)); });
}

void native_link::answer(const slice& s) {
  payload bytes(s.size);
  finish(answer_all(s, bytes));
}

void native_link::send(const slice& s, times& t) {
  payload bytes(s.size);
  batch_watch watch(s, t);
  finish(send_all(s, bytes, watch));
}

void native_link::receive(const slice& s) {
  payload bytes(s.size);
  finish(receive_all(s, bytes));
}

wake_counts native_link::wakes() const {
  const channel_statistics now = channel_.statistics();
  return {static_cast<std::int64_t>(now.bells_rung), static_cast<std::int64_t>(now.parks)};
}

task<> native_link::accept_one() { channel_ = co_await listener_->accept(); }

task<> native_link::connect_one() {
  connect_options options;
  options.ring_bytes = options.peer_ring_bytes = ring_bytes_;
  channel_ = co_await ringbell::connect(*loop_, path_, options);
}

task<> native_link::exchange(payload& bytes) {
  co_await channel_.send(bytes.out);
  auto reply = co_await channel_.recv();
  take(reply, bytes);
}

template <class Watch>
task<> native_link::ping_with(const slice& s, payload& bytes, Watch& watch) {
  for (std::uint64_t i = 0; i < s.lead_in; ++i) {
    bytes.number(i);
    watch.pace();
    co_await exchange(bytes);
    bytes.check();
  }
  watch.start();
  for (std::uint64_t i = 0; i < s.messages; ++i) {
    watch.pace();
    co_await channel_.send(bytes.out);
    auto reply = co_await channel_.recv();
    take(reply, bytes);
    watch.lap();
  }
  watch.stop();
}

task<> native_link::answer_all(const slice& s, payload& bytes) {
  for (std::uint64_t i = s.all(); i != 0; --i) {
    auto request = co_await channel_.recv();
    take(request, bytes);
    request->release();  // before the reply, which then carries the news
    co_await channel_.send(bytes.in);
  }
}

template <class Sent>
task<> native_link::send_some(std::uint64_t n, const payload& bytes, Sent sent) {
  const std::size_t size = bytes.out.size();
  switch (kind_.how) {
    case mode::copy:
      for (; n != 0; --n, sent()) co_await channel_.send(bytes.out);
      break;
    case mode::batched:
      while (n != 0) {
        const sender::batch together(channel_.sender());
        for (std::uint64_t k = std::min(n, messages_of_a_batch); k != 0; --k, --n, sent())
          co_await channel_.send(bytes.out);
      }
      break;
    case mode::zero_copy:
      for (; n != 0; --n, sent()) {
        claim space = co_await channel_.claim(size);
        make_message(space.bytes(), bytes.out.data());
        space.commit();
      }
      break;
  }
}

task<> native_link::send_all(const slice& s, payload& bytes, batch_watch& watch) {
  co_await send_some(s.lead_in, bytes, [] {});
  watch.start();
  batch_watch* const to = &watch;
  co_await send_some(s.messages, bytes, [to] { to->lap(); });
  const auto done = co_await channel_.recv();
  if (!done) throw std::runtime_error("the peer has ended the stream");
  watch.stop();
}

task<> native_link::receive_all(const slice& s, payload& bytes) {
  if (kind_.how == mode::zero_copy) {
    for (std::uint64_t i = s.all(); i != 0; --i) {
      const auto got = co_await channel_.recv();
      if (!got) throw std::runtime_error("the peer has ended the stream");
      seen_ = seen_ + read_in_place(got->data(), got->size());
    }
  } else {
    for (std::uint64_t i = s.all(); i != 0; --i)
      if (!co_await channel_.recv_into(bytes.in))
        throw std::runtime_error("the peer has ended the stream");
  }
  const std::byte done[acknowledgement] = {};
  co_await channel_.send(std::span(done));
}

std::vector<contender> native_contenders() {
  std::vector<contender> all;
  const auto add = [&all](loop_backend backend, std::string_view loop_name, spin_policy spin,
                          std::string_view spin_name, mode how, std::string_view mode_name) {
    native_kind kind;
    kind.options.backend = backend;
    kind.options.spin = spin;
    kind.how = how;
    contender c;
    c.id = "native/" + std::string(loop_name) + '/' + std::string(spin_name);
    c.title = "ringbell, " + std::string(loop_name) + ", " + std::string(spin_name);
    if (!mode_name.empty()) {
      c.id += '/' + std::string(mode_name);
      c.title += ", " + std::string(mode_name);
    }
    c.what = contender::role::ringbell;
    c.spins = spin == spin_policy::always;
    c.make = [kind](const link_options& options) {
      return std::make_unique<native_link>(kind, options);
    };
    all.push_back(std::move(c));
  };
  for (const auto& [backend, loop_name] : native_backends())
    for (const auto& [spin, spin_name] :
         {std::pair(spin_policy::always, "always"), std::pair(spin_policy::adaptive, "adaptive"),
          std::pair(spin_policy::none, "none")})
      for (const auto& [how, mode_name] :
           {std::pair(mode::copy, ""), std::pair(mode::batched, "batched"),
            std::pair(mode::zero_copy, "zero-copy")})
        add(backend, loop_name, spin, spin_name, how, mode_name);
  return all;
}

}  // namespace ringbell::bench
