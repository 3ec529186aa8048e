// SPDX-License-Identifier: BSL-1.0
// A user's own messages, there and back: through ringbell, and through a Unix socket as one writes
// it by hand. Both sides know the length of each message, so the socket needs no header for it.
#include "ring_size.hpp"
#include "user_case.hpp"

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/loop/loop.hpp>

#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <utility>

namespace ringbell::bench {

namespace {

/// Both sides count the messages, so both know which one is next.
class user_link : public link {
public:
  explicit user_link(const user_messages& messages) : messages_(messages) {}
  void send(const slice&, times&) override { throw std::logic_error("there are round trips only"); }
  void receive(const slice&) override { throw std::logic_error("there are round trips only"); }

protected:
  std::span<const std::byte> next() noexcept { return messages_.at(next_++); }
  const user_messages& all() const noexcept { return messages_; }

private:
  const user_messages& messages_;
  std::uint64_t next_ = 0;
};

void check_reply(std::span<const std::byte> sent, std::span<const std::byte> reply) {
  if (!std::ranges::equal(sent, reply))
    throw std::runtime_error("other bytes came back than were sent");
}

class socket_link final : public user_link {
public:
  explicit socket_link(const user_messages& messages)
      : user_link(messages), buffer_(messages.record) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) != 0)
      throw std::system_error(errno, std::generic_category(), "making a pair of Unix sockets");
  }
  ~socket_link() override {
    for (const int fd : ends_) ::close(fd);
  }
  socket_link(const socket_link&) = delete;
  socket_link& operator=(const socket_link&) = delete;

  std::vector<int> descriptors() const override { return {ends_[0], ends_[1]}; }
  void connect() override { own_ = ends_[0]; }
  void accept() override { own_ = ends_[1]; }
  void ping(const slice& s, times& t) override {
    with_stopwatch(s, t, [&](auto& watch) {
      for (std::uint64_t i = 0; i < s.lead_in; ++i) {
        watch.pace();
        const auto sent = next();
        exchange(sent);
        check_reply(sent, std::span(buffer_).first(sent.size()));
      }
      watch.start();
      for (std::uint64_t i = 0; i < s.messages; ++i) {
        watch.pace();
        exchange(next());
        watch.lap();
      }
      watch.stop();
    });
  }
  void answer(const slice& s) override {
    for (std::uint64_t i = s.all(); i != 0; --i) {
      const std::size_t size = next().size();
      read_all(size);
      write_all(std::span(buffer_).first(size));
    }
  }

private:
  void exchange(std::span<const std::byte> bytes) {
    write_all(bytes);
    read_all(bytes.size());
  }
  void write_all(std::span<const std::byte> bytes) const {
    while (!bytes.empty()) {
      const ssize_t n = ::send(own_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n < 0) throw std::system_error(errno, std::generic_category(), "writing to a socket");
      bytes = bytes.subspan(static_cast<std::size_t>(n));
    }
  }
  void read_all(std::size_t size) {
    for (std::size_t got = 0; got != size;) {
      const ssize_t n = ::recv(own_, buffer_.data() + got, size - got, 0);
      if (n < 0) throw std::system_error(errno, std::generic_category(), "reading from a socket");
      if (n == 0) throw std::runtime_error("the peer has closed its socket");
      got += static_cast<std::size_t>(n);
    }
  }

  std::vector<std::byte> buffer_;
  int ends_[2] = {-1, -1};
  int own_ = -1;
};

/// As it is without any option, but for rings that take a message in one piece.
class ringbell_link final : public user_link {
public:
  ringbell_link(const user_messages& messages, const link_options& options)
      : user_link(messages),
        path_(options.path),
        ring_bytes_(ring_bytes_for(messages.record)),
        buffer_(messages.record) {}

  void listen() override {
    loop_ = std::make_unique<loop>();
    listener_options options;
    options.default_ring_bytes = ring_bytes_;
    options.max_ring_bytes = std::max(options.max_ring_bytes, ring_bytes_);
    listener_.emplace(listener::bind(*loop_, path_, options));
  }
  void accept() override {
    loop_->run(accept_one());
    listener_.reset();
  }
  void connect() override {
    loop_ = std::make_unique<loop>();
    loop_->run(connect_one());
  }
  void ping(const slice& s, times& t) override {
    with_stopwatch(s, t, [&](auto& watch) { loop_->run(ping_with(s, watch)); });
  }
  void answer(const slice& s) override { loop_->run(answer_all(s)); }
  wake_counts wakes() const override {
    const channel_statistics now = channel_.statistics();
    return {static_cast<std::int64_t>(now.bells_rung), static_cast<std::int64_t>(now.parks)};
  }

private:
  task<> accept_one() { channel_ = co_await listener_->accept(); }
  task<> connect_one() {
    connect_options options;
    options.ring_bytes = options.peer_ring_bytes = ring_bytes_;
    channel_ = co_await ringbell::connect(*loop_, path_, options);
  }
  template <class Watch>
  task<> ping_with(const slice& s, Watch& watch) {
    for (std::uint64_t i = 0; i < s.lead_in; ++i) {
      watch.pace();
      const auto sent = next();
      co_await channel_.send(sent);
      auto reply = co_await channel_.recv();
      take(reply, sent.size());
      check_reply(sent, std::span(buffer_).first(sent.size()));
    }
    watch.start();
    for (std::uint64_t i = 0; i < s.messages; ++i) {
      watch.pace();
      const auto sent = next();
      co_await channel_.send(sent);
      auto reply = co_await channel_.recv();
      take(reply, sent.size());
      watch.lap();
    }
    watch.stop();
  }
  task<> answer_all(const slice& s) {
    for (std::uint64_t i = s.all(); i != 0; --i) {
      const std::size_t size = next().size();
      auto request = co_await channel_.recv();
      take(request, size);
      co_await channel_.send(std::span(buffer_).first(size));
    }
  }
  /// Copies it, as a read from a socket does, and lets go of it.
  void take(std::optional<message>& from, std::size_t size) {
    if (!from || from->size() != size)
      throw std::runtime_error("the peer has ended the stream, or sent another size");
    std::memcpy(buffer_.data(), from->data(), size);
    from->release();
  }

  std::string path_;
  std::uint64_t ring_bytes_;
  std::vector<std::byte> buffer_;
  std::unique_ptr<loop> loop_;
  std::optional<listener> listener_;
  channel channel_;
};

}  // namespace

contender_list user_contenders(const user_messages& messages) {
  contender socket;
  socket.id = user_socket;
  socket.title = "Unix socket by hand, blocking";
  socket.make = [&messages](const link_options&) {
    return std::make_unique<socket_link>(messages);
  };
  contender own;
  own.id = user_ringbell;
  own.title = "ringbell, as it is without options";
  own.what = contender::role::ringbell;
  own.make = [&messages](const link_options& options) {
    return std::make_unique<ringbell_link>(messages, options);
  };
  contender_list all;
  all.there = {std::move(socket), std::move(own)};
  return all;
}

}  // namespace ringbell::bench
