// SPDX-License-Identifier: BSL-1.0
// Many channels between the two processes, in one io_context each: all of them sending, some much
// more than others, or all of them idle but one.
#include "blocking_link.hpp"
#include "crowd.hpp"
#include "zipf.hpp"

#include <ringbell/asio.hpp>

#include <cstring>
#include <deque>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <utility>

namespace ringbell::bench {

namespace {

class asio_crowd_link final : public link {
public:
  asio_crowd_link(const crowd& kind, const link_options& options)
      : kind_(kind), options_(options), bytes_(options.size), order_(kind.channels) {
    allow_descriptors(2 * kind.channels);  // the socket's, and one of Asio's own to watch it by
  }

  void listen() override {
    listener_options options;
    options.bells = sys::bell_bit(sys::bell_kind::socket);  // one descriptor for a connection
    listener_.emplace(io_, options_.path, options);
  }
  void accept() override {
    finish(accept_all());
    listener_.reset();
    for (asio_channel& ch : channels_) start(session(ch));
    if (kind_.all_active)
      receive_from_all(crowd::messages_to_touch_a_ring(options_.size) * channels_.size());
  }
  void connect() override {
    finish(connect_all());
    if (kind_.all_active)
      finish(touch_all_rings());
    else
      for (std::size_t i = 1; i < channels_.size(); ++i) start(wait_idly(channels_[i]));
  }

  void ping(const slice& s, times& t) override {
    with_stopwatch(s, t, [&](auto& watch) { finish(ping_with(s, watch)); });
  }
  void answer(const slice& s) override { serve(s, true); }
  void send(const slice& s, times& t) override {
    batch_watch watch(s, t);
    finish(send_all(s, watch));
  }
  void receive(const slice& s) override {
    serve(s, false);
    finish(acknowledge());
  }
  wake_counts wakes() const override {
    wake_counts all{0, 0};
    for (const asio_channel& ch : channels_) {
      const channel_statistics now = ch.statistics();
      all.bells += static_cast<std::int64_t>(now.bells_rung);
      all.parks += static_cast<std::int64_t>(now.parks);
    }
    return all;
  }

private:
  /// Runs until `what` has ended; others may go on in the next run.
  void finish(net::awaitable<void> what) {
    std::exception_ptr failure;
    net::co_spawn(io_, std::move(what), [&](std::exception_ptr e) {
      failure = std::move(e);
      io_.stop();
    });
    run();
    if (failure) std::rethrow_exception(failure);
  }
  void start(net::awaitable<void> what) {
    net::co_spawn(io_, std::move(what), [this](std::exception_ptr e) {
      if (!e) return;
      failure_ = std::move(e);
      io_.stop();
    });
  }
  void run() {
    io_.run();
    io_.restart();
    if (failure_) std::rethrow_exception(failure_);
  }

  net::awaitable<void> accept_all() {
    while (channels_.size() < kind_.channels)
      keep(co_await listener_->async_accept(net::use_awaitable));
  }
  net::awaitable<void> connect_all() {
    connect_options options;
    options.bells = sys::bell_bit(sys::bell_kind::socket);
    while (channels_.size() < kind_.channels)
      keep(co_await async_connect(io_, options_.path, options, net::use_awaitable));
  }
  void keep(asio_channel ch) {
    ch.spin(kind_.all_active ? spin_policy::adaptive : spin_policy::none);
    channels_.push_back(std::move(ch));
  }

  // -- the server: a coroutine for each channel, which lives as long as that --

  void serve(const slice& s, bool echoing) {
    echoing_ = echoing;
    receive_from_all(s.all());
  }
  void receive_from_all(std::uint64_t messages) {
    missing_ = messages;
    run();
  }
  net::awaitable<void> session(asio_channel& ch) {
    for (;;) {
      auto got = co_await ch.recv();
      if (!got) co_return;
      take(*got);
      got->release();
      if (echoing_) co_await ch.send(net::const_buffer(bytes_.in.data(), bytes_.in.size()));
      if (--missing_ == 0) io_.stop();
    }
  }
  net::awaitable<void> acknowledge() {
    const std::byte done[acknowledgement] = {};
    co_await channels_.front().send(net::const_buffer(done, sizeof done));
  }

  // -- the client --

  net::awaitable<void> touch_all_rings() {
    for (asio_channel& ch : channels_)
      for (std::uint64_t i = crowd::messages_to_touch_a_ring(options_.size); i != 0; --i)
        co_await ch.send(outgoing());
  }
  static net::awaitable<void> wait_idly(asio_channel& ch) { co_await ch.recv(); }
  template <class Watch>
  net::awaitable<void> ping_with(const slice& s, Watch& watch) {
    asio_channel& ch = channels_.front();
    for (std::uint64_t i = 0; i < s.all(); ++i) {
      if (i == s.lead_in) watch.start();
      watch.pace();
      co_await ch.send(outgoing());
      auto reply = co_await ch.recv();
      if (!reply) throw std::runtime_error("the peer has ended the stream");
      take(*reply);
      if (i >= s.lead_in) watch.lap();
    }
    watch.stop();
  }
  net::awaitable<void> send_all(const slice& s, batch_watch& watch) {
    for (std::uint64_t i = 0; i < s.all(); ++i) {
      if (i == s.lead_in) watch.start();
      co_await channels_[order_.next()].send(outgoing());
      if (i >= s.lead_in) watch.lap();
    }
    const auto done = co_await channels_.front().recv();
    if (!done) throw std::runtime_error("the peer has ended the stream");
    watch.stop();
  }

  net::const_buffer outgoing() const noexcept { return {bytes_.out.data(), bytes_.out.size()}; }
  void take(const message& got) {
    if (got.size() != bytes_.in.size()) throw std::runtime_error("a message of another size");
    std::memcpy(bytes_.in.data(), got.data(), got.size());
  }

  crowd kind_;
  link_options options_;
  payload bytes_;
  zipf order_;
  net::io_context io_;
  std::deque<asio_channel> channels_;
  std::optional<asio_listener> listener_;
  std::exception_ptr failure_;
  bool echoing_ = false;
  std::uint64_t missing_ = 0;  // of the slice's messages
};

}  // namespace

std::vector<contender> asio_crowd_contenders() {
  std::vector<contender> all;
  const auto add = [&all](const crowd& kind) {
    all.push_back(crowd_contender("asio", kind, [kind](const link_options& options) {
      return std::make_unique<asio_crowd_link>(kind, options);
    }));
  };
  for (const std::size_t clients : {1U, 10U, 100U, 1000U}) add({clients, true});
  for (const std::size_t idle : {0U, 100U, 1000U, 10000U}) add({1 + idle, false});
  return all;
}

}  // namespace ringbell::bench
