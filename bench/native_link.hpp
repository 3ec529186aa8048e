// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "blocking_link.hpp"

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

namespace ringbell::bench {

/// How messages go one way.
enum class mode : std::uint8_t {
  copy,      ///< from a buffer to the ring, from there to a buffer
  batched,   ///< the same, many published together
  zero_copy  ///< written in the sender's ring, read where they lie
};

struct native_kind {
  loop_options options;
  mode how = mode::copy;
};

/// ringbell's native front end: a coroutine on each side, on a loop of its own.
class native_link : public link {
public:
  native_link(const native_kind& kind, const link_options& options);

  void listen() override;
  void accept() override;
  void connect() override;
  void ping(const slice& s, times& t) override;
  void answer(const slice& s) override;
  void send(const slice& s, times& t) override;
  void receive(const slice& s) override;
  wake_counts wakes() const override;

protected:
  /// Runs `what` on the loop until it has ended. Throws what it throws.
  virtual void finish(task<> what);
  loop& on() noexcept { return *loop_; }

private:
  task<> accept_one();
  task<> connect_one();
  task<> exchange(payload& bytes);
  template <class Watch>
  task<> ping_with(const slice& s, payload& bytes, Watch& watch);
  task<> answer_all(const slice& s, payload& bytes);
  template <class Sent>
  task<> send_some(std::uint64_t n, const payload& bytes, Sent sent);
  task<> send_all(const slice& s, payload& bytes, batch_watch& watch);
  task<> receive_all(const slice& s, payload& bytes);

  native_kind kind_;
  std::string path_;
  std::uint64_t ring_bytes_;
  std::unique_ptr<loop> loop_;
  std::optional<listener> listener_;
  channel channel_;
  volatile std::uint64_t seen_ = 0;  // so that reading in place is not left out
};

}  // namespace ringbell::bench
