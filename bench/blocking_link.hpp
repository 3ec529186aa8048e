// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "link.hpp"

#include <cstddef>
#include <cstring>
#include <stdexcept>
#include <utility>
#include <vector>

namespace ringbell::bench {

enum class side : std::uint8_t { parent, child };

/// The bytes of the messages of a slice: one to send, one to receive into. Those of the lead-in are
/// numbered and checked, the others are not: looking at them would take longer than sending them.
class payload {
public:
  explicit payload(std::uint64_t size) : out(size, std::byte{0x5a}), in(size) {}
  void number(std::uint64_t n) noexcept { std::memcpy(out.data(), &n, sizeof n); }
  void check() const {
    if (std::memcmp(out.data(), in.data(), out.size()) != 0)
      throw std::runtime_error("other bytes came back than were sent");
  }
  std::vector<std::byte> out;
  std::vector<std::byte> in;
};

inline constexpr std::size_t acknowledgement = 8;

/// Makes a link of `End`, one end of something that blocks or spins, with
///     End(const link_options&)              before the fork
///     void become(side)                     after it
///     void send(const std::byte*, size_t)   one message
///     void receive(std::byte*, size_t)      one message of that size
///     void flush()                          makes what was sent known, where that is not yet so
/// All inline. `End::carries_nothing`, if there is such a thing, says that signals go back and
/// forth without bytes.
template <class End>
class blocking_link final : public link {
public:
  explicit blocking_link(const link_options& options) : end_(options) {}

  std::vector<int> descriptors() const override {
    if constexpr (requires { end_.descriptors(); }) return end_.descriptors();
    return {};
  }
  void listen() override {
    if constexpr (requires { end_.listen(); }) end_.listen();
  }
  void accept() override { end_.become(side::child); }
  void connect() override { end_.become(side::parent); }

  void ping(const slice& s, times& t) override {
    payload bytes(s.size);
    with_stopwatch(s, t, [&](auto& watch) {
      for (std::uint64_t i = 0; i < s.lead_in; ++i) {
        bytes.number(i);
        watch.pace();
        exchange(bytes, s.size);
        if constexpr (!requires { End::carries_nothing; }) bytes.check();
      }
      watch.start();
      for (std::uint64_t i = 0; i < s.messages; ++i) {
        watch.pace();
        exchange(bytes, s.size);
        watch.lap();
      }
      watch.stop();
    });
  }
  void answer(const slice& s) override {
    payload bytes(s.size);
    for (std::uint64_t i = s.all(); i != 0; --i) {
      end_.receive(bytes.in.data(), s.size);
      end_.send(bytes.in.data(), s.size);
      end_.flush();
    }
  }
  void send(const slice& s, times& t) override {
    payload bytes(s.size);
    batch_watch watch(s, t);
    for (std::uint64_t i = s.lead_in; i != 0; --i) end_.send(bytes.out.data(), s.size);
    watch.start();
    for (std::uint64_t i = s.messages; i != 0; --i) {
      end_.send(bytes.out.data(), s.size);
      watch.lap();
    }
    end_.flush();
    std::byte done[acknowledgement];
    end_.receive(done, sizeof done);
    watch.stop();
  }
  void receive(const slice& s) override {
    payload bytes(s.size);
    for (std::uint64_t i = s.all(); i != 0; --i) end_.receive(bytes.in.data(), s.size);
    const std::byte done[acknowledgement] = {};
    end_.send(done, sizeof done);
    end_.flush();
  }

private:
  void exchange(payload& bytes, std::size_t size) {
    end_.send(bytes.out.data(), size);
    end_.flush();
    end_.receive(bytes.in.data(), size);
  }
  End end_;
};

template <class End>
contender blocking_contender(std::string id, std::string title, contender::role what, bool spins) {
  contender c;
  c.id = std::move(id);
  c.title = std::move(title);
  c.what = what;
  c.spins = spins;
  c.make = [](const link_options& options) {
    return std::make_unique<blocking_link<End>>(options);
  };
  return c;
}

}  // namespace ringbell::bench
