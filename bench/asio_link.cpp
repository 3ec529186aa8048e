// SPDX-License-Identifier: BSL-1.0
// Inside asio::awaitable on an io_context: ringbell's channels, and Asio's own Unix sockets.
#include "asio_context.hpp"
#include "blocking_link.hpp"
#include "contenders.hpp"
#include "native_link.hpp"

#include <ringbell/asio.hpp>

#include <sys/socket.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <exception>
#include <memory>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace ringbell::bench {

namespace {

/// What both have in common: a coroutine for each slice. `Way::send` and `Way::receive` give what
/// is to be awaited, and nothing more: each coroutine between the operation and the one that
/// measures would cost as much as the operation. `Way::take` copies what came behind the first
/// `have` bytes, and says how much.
template <class Way>
class asio_link final : public link {
public:
  template <class... Arguments>
  explicit asio_link(const Arguments&... arguments) : way_(arguments...) {}

  std::vector<int> descriptors() const override { return way_.descriptors(); }
  void listen() override { way_.listen(io_.make()); }
  void accept() override { way_.accept(io_.get()); }
  void connect() override { way_.connect(io_.make()); }

  void ping(const slice& s, times& t) override {
    payload bytes(s.size);
    with_stopwatch(s, t, [&](auto& watch) { finish(ping_with(s, bytes, watch)); });
  }
  void answer(const slice& s) override {
    payload bytes(s.size);
    finish(answer_all(s, bytes));
  }
  void send(const slice& s, times& t) override {
    payload bytes(s.size);
    batch_watch watch(s, t);
    finish(send_all(s, bytes, watch));
  }
  void receive(const slice& s) override {
    payload bytes(s.size);
    finish(receive_all(s, bytes));
  }
  wake_counts wakes() const override { return way_.wakes(); }

private:
  void finish(net::awaitable<void> what) { io_.finish(std::move(what)); }

  net::awaitable<void> receive_one(std::vector<std::byte>& bytes) {
    for (std::size_t have = 0; have < bytes.size();) {
      auto got = co_await way_.receive(bytes, have);
      have += way_.take(got, bytes, have);
    }
  }
  template <class Watch>
  net::awaitable<void> ping_with(const slice& s, payload& bytes, Watch& watch) {
    for (std::uint64_t i = 0; i < s.lead_in; ++i) {
      bytes.number(i);
      watch.pace();
      co_await way_.send(bytes.out);
      co_await receive_one(bytes.in);
      bytes.check();
    }
    watch.start();
    for (std::uint64_t i = 0; i < s.messages; ++i) {
      watch.pace();
      co_await way_.send(bytes.out);
      std::size_t have = 0;
      do {
        auto got = co_await way_.receive(bytes.in, have);
        have += way_.take(got, bytes.in, have);
      } while (have < bytes.in.size());
      watch.lap();
    }
    watch.stop();
  }
  net::awaitable<void> answer_all(const slice& s, payload& bytes) {
    for (std::uint64_t i = s.all(); i != 0; --i) {
      std::size_t have = 0;
      do {
        auto got = co_await way_.receive(bytes.in, have);
        have += way_.take(got, bytes.in, have);
      } while (have < bytes.in.size());
      co_await way_.send(bytes.in);
    }
  }
  net::awaitable<void> send_all(const slice& s, payload& bytes, batch_watch& watch) {
    for (std::uint64_t i = s.lead_in; i != 0; --i) co_await way_.send(bytes.out);
    watch.start();
    for (std::uint64_t i = s.messages; i != 0; --i) {
      co_await way_.send(bytes.out);
      watch.lap();
    }
    std::vector<std::byte> done(acknowledgement);
    co_await receive_one(done);
    watch.stop();
  }
  net::awaitable<void> receive_all(const slice& s, payload& bytes) {
    for (std::uint64_t i = s.all(); i != 0; --i) {
      std::size_t have = 0;
      do {
        auto got = co_await way_.receive(bytes.in, have);
        have += way_.take(got, bytes.in, have);
      } while (have < bytes.in.size());
    }
    const std::vector<std::byte> done(acknowledgement);
    co_await way_.send(done);
  }

  asio_context io_;  // outlives the channel
  Way way_;
};

class channel_way : public opened_way<asio_channel, asio_listener> {
public:
  using opened_way::opened_way;
  auto send(const std::vector<std::byte>& bytes) {
    return connection().send(net::const_buffer(bytes.data(), bytes.size()));
  }
  auto receive(std::vector<std::byte>&, std::size_t) { return connection().recv(); }
  static std::size_t take(std::optional<message>& got, std::vector<std::byte>& bytes, std::size_t) {
    if (!got || got->size() != bytes.size())
      throw std::runtime_error("the peer has ended the stream, or sent another size");
    std::memcpy(bytes.data(), got->data(), bytes.size());
    got->release();  // before a reply, which then carries the news
    return bytes.size();
  }
};

/// The same by the functions that take any completion token.
class token_way : public channel_way {
public:
  using channel_way::channel_way;
  auto send(const std::vector<std::byte>& bytes) {
    return connection().async_send(net::const_buffer(bytes.data(), bytes.size()),
                                   net::use_awaitable);
  }
  auto receive(std::vector<std::byte>&, std::size_t) {
    return connection().async_recv(net::use_awaitable);
  }
  static std::size_t take(message& got, std::vector<std::byte>& bytes, std::size_t) {
    if (got.size() != bytes.size()) throw std::runtime_error("the peer has sent another size");
    std::memcpy(bytes.data(), got.data(), bytes.size());
    got.release();
    return bytes.size();
  }
};

/// A stream of bytes, which is used as a socket is.
class stream_way : public opened_way<asio_stream, asio_stream_acceptor> {
public:
  using opened_way::opened_way;
  auto send(const std::vector<std::byte>& bytes) {
    return net::async_write(connection(), net::buffer(bytes), net::use_awaitable);
  }
  auto receive(std::vector<std::byte>& bytes, std::size_t have) {
    return connection().async_read_some(net::buffer(bytes.data() + have, bytes.size() - have),
                                        net::use_awaitable);
  }
  static std::size_t take(std::size_t got, const std::vector<std::byte>&, std::size_t) noexcept {
    return got;
  }
};

/// A native loop that an io_context drives, on each side.
class driven_link final : public native_link {
public:
  using native_link::native_link;

protected:
  void finish(task<> what) override {
    std::exception_ptr failure;
    const running_loop driving = run_in(on(), io_);
    on().spawn(run_through(std::move(what), failure));
    io_.run();
    io_.restart();
    if (failure) std::rethrow_exception(failure);
  }

private:
  task<> run_through(task<> what, std::exception_ptr& failure) {
    try {
      co_await std::move(what);
    } catch (...) {
      failure = std::current_exception();
    }
    io_.stop();
  }
  net::io_context io_;
};

/// As in Asio's own echo servers.
class asio_socket_way {
public:
  explicit asio_socket_way(const link_options&) {
    if (::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends_) != 0)
      throw std::system_error(errno, std::generic_category(), "making a pair of sockets");
  }
  ~asio_socket_way() {
    for (const int fd : ends_)
      if (fd >= 0) ::close(fd);
  }
  asio_socket_way(const asio_socket_way&) = delete;
  asio_socket_way& operator=(const asio_socket_way&) = delete;
  std::vector<int> descriptors() const { return {ends_[1]}; }
  static void listen(net::io_context&) {}
  void accept(net::io_context& io) { open(io, 1); }
  void connect(net::io_context& io) {
    open(io, 0);
    ::close(std::exchange(ends_[1], -1));
  }
  auto send(const std::vector<std::byte>& bytes) {
    return net::async_write(*socket_, net::buffer(bytes), net::use_awaitable);
  }
  auto receive(std::vector<std::byte>& bytes, std::size_t have) {
    return socket_->async_read_some(net::buffer(bytes.data() + have, bytes.size() - have),
                                    net::use_awaitable);
  }
  static std::size_t take(std::size_t got, const std::vector<std::byte>&, std::size_t) noexcept {
    return got;
  }
  static wake_counts wakes() { return {}; }

private:
  void open(net::io_context& io, int which) {
    socket_.emplace(io, net::local::stream_protocol(), std::exchange(ends_[which], -1));
  }
  int ends_[2] = {-1, -1};
  std::optional<net::local::stream_protocol::socket> socket_;
};

contender in_asio(std::string id, std::string title, spin_policy spin) {
  contender c;
  c.id = "asio/" + std::move(id);
  c.title = "ringbell in Asio, " + std::move(title);
  c.what = contender::role::ringbell;
  c.spins = spin == spin_policy::always;
  return c;
}

template <class Way>
contender on_connection(std::string id, std::string title, spin_policy spin) {
  contender c = in_asio(std::move(id), std::move(title), spin);
  c.make = [spin](const link_options& options) {
    return std::make_unique<asio_link<Way>>(spin, options);
  };
  return c;
}

contender on_driven_loop(std::string id, std::string title, spin_policy spin) {
  contender c = in_asio(std::move(id), std::move(title), spin);
  native_kind kind;
  kind.options.spin = spin;
  c.make = [kind](const link_options& options) {
    return std::make_unique<driven_link>(kind, options);
  };
  return c;
}

}  // namespace

std::vector<contender> asio_contenders() {
  contender socket;
  socket.id = "asio-socket";
  socket.title = "Asio's Unix socket, coroutines";
  socket.what = contender::role::peer;
  socket.make = [](const link_options& options) {
    return std::make_unique<asio_link<asio_socket_way>>(options);
  };
  return {on_connection<channel_way>("always", "always", spin_policy::always),
          on_connection<channel_way>("adaptive", "adaptive", spin_policy::adaptive),
          on_connection<channel_way>("none", "none", spin_policy::none),
          on_connection<token_way>("adaptive/tokens", "adaptive, async_recv and async_send",
                                   spin_policy::adaptive),
          on_connection<stream_way>("adaptive/stream", "adaptive, a stream of bytes",
                                    spin_policy::adaptive),
          on_driven_loop("adaptive/driven", "adaptive, native loops that io_contexts drive",
                         spin_policy::adaptive),
          std::move(socket)};
}

}  // namespace ringbell::bench
