// SPDX-License-Identifier: BSL-1.0
// Many channels between the two processes, on one loop each: all of them sending, some much more
// than others, or all of them idle but one.
#include "blocking_link.hpp"
#include "crowd.hpp"
#include "native_backends.hpp"
#include "zipf.hpp"

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <deque>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringbell::bench {

namespace {

class crowd_link final : public link {
public:
  crowd_link(const crowd& kind, const loop_options& how, const link_options& options)
      : kind_(kind), how_(how), options_(options), bytes_(options.size), order_(kind.channels) {
    allow_descriptors(kind.channels);
  }

  void listen() override {
    loop_ = std::make_unique<loop>(how_);
    listener_options options;
    options.bells = sys::bell_bit(sys::bell_kind::socket);  // one descriptor for a connection
    listener_.emplace(listener::bind(*loop_, options_.path, options));
  }
  void accept() override {
    loop_->run(accept_all());
    listener_.reset();
    for (channel& ch : channels_) loop_->spawn(session(ch));
    if (kind_.all_active)
      receive_from_all(crowd::messages_to_touch_a_ring(options_.size) * channels_.size());
  }
  void connect() override {
    loop_ = std::make_unique<loop>(how_);
    loop_->run(connect_all());
    if (kind_.all_active)
      loop_->run(touch_all_rings());
    else
      for (std::size_t i = 1; i < channels_.size(); ++i) loop_->spawn(wait_idly(channels_[i]));
  }

  void ping(const slice& s, times& t) override {
    with_stopwatch(s, t, [&](auto& watch) { loop_->run(ping_with(s, watch)); });
  }
  void answer(const slice& s) override { serve(s, true); }
  void send(const slice& s, times& t) override {
    batch_watch watch(s, t);
    loop_->run(send_all(s, watch));
  }
  void receive(const slice& s) override {
    serve(s, false);
    loop_->run(acknowledge());
  }
  wake_counts wakes() const override {
    wake_counts all{0, 0};
    for (const channel& ch : channels_) {
      const channel_statistics now = ch.statistics();
      all.bells += static_cast<std::int64_t>(now.bells_rung);
      all.parks += static_cast<std::int64_t>(now.parks);
    }
    return all;
  }

private:
  task<> accept_all() {
    while (channels_.size() < kind_.channels) channels_.push_back(co_await listener_->accept());
  }
  task<> connect_all() {
    connect_options options;
    options.bells = sys::bell_bit(sys::bell_kind::socket);
    while (channels_.size() < kind_.channels)
      channels_.push_back(co_await ringbell::connect(*loop_, options_.path, options));
  }

  // -- the server: a coroutine for each channel, which lives as long as that --

  void serve(const slice& s, bool echoing) {
    echoing_ = echoing;
    receive_from_all(s.all());
  }
  void receive_from_all(std::uint64_t messages) {
    missing_ = messages;
    loop_->run();
  }
  task<> session(channel& ch) {
    while (auto got = co_await ch.recv()) {
      take(*got);
      got->release();
      if (echoing_) co_await ch.send(bytes_.in);
      if (--missing_ == 0) loop_->stop();
    }
  }
  task<> acknowledge() {
    const std::byte done[acknowledgement] = {};
    co_await channels_.front().send(std::span(done));
  }

  // -- the client --

  task<> touch_all_rings() {
    for (channel& ch : channels_)
      for (std::uint64_t i = crowd::messages_to_touch_a_ring(options_.size); i != 0; --i)
        co_await ch.send(bytes_.out);
  }
  static task<> wait_idly(channel& ch) {
    try {
      co_await ch.recv();
    } catch (const std::system_error&) {
      // The end of the case.
    }
  }
  template <class Watch>
  task<> ping_with(const slice& s, Watch& watch) {
    channel& ch = channels_.front();
    for (std::uint64_t i = 0; i < s.all(); ++i) {
      if (i == s.lead_in) watch.start();
      watch.pace();
      co_await ch.send(bytes_.out);
      auto reply = co_await ch.recv();
      if (!reply) throw std::runtime_error("the peer has ended the stream");
      take(*reply);
      if (i >= s.lead_in) watch.lap();
    }
    watch.stop();
  }
  task<> send_all(const slice& s, batch_watch& watch) {
    for (std::uint64_t i = 0; i < s.all(); ++i) {
      if (i == s.lead_in) watch.start();
      co_await channels_[order_.next()].send(bytes_.out);
      if (i >= s.lead_in) watch.lap();
    }
    const auto done = co_await channels_.front().recv();
    if (!done) throw std::runtime_error("the peer has ended the stream");
    watch.stop();
  }

  void take(const message& got) {
    if (got.size() != bytes_.in.size()) throw std::runtime_error("a message of another size");
    std::memcpy(bytes_.in.data(), got.data(), got.size());
  }

  crowd kind_;
  loop_options how_;
  link_options options_;
  payload bytes_;
  zipf order_;
  std::unique_ptr<loop> loop_;
  std::optional<listener> listener_;
  std::deque<channel> channels_;  // before the loop, which then destroys their coroutines
  bool echoing_ = false;
  std::uint64_t missing_ = 0;  // of the slice's messages
};

}  // namespace

std::vector<contender> crowd_contenders() {
  std::vector<contender> all;
  const auto add = [&all](const crowd& kind, loop_backend backend, const char* name) {
    loop_options how;
    how.backend = backend;
    how.spin = kind.all_active ? spin_policy::adaptive : spin_policy::none;
    all.push_back(crowd_contender(name, kind, [=](const link_options& options) {
      return std::make_unique<crowd_link>(kind, how, options);
    }));
  };
  for (const auto& [backend, name] : native_backends()) {
    for (const std::size_t clients : {1U, 10U, 100U, 1000U}) add({clients, true}, backend, name);
    for (const std::size_t idle : {0U, 100U, 1000U, 10000U}) add({1 + idle, false}, backend, name);
  }
  return all;
}

}  // namespace ringbell::bench
