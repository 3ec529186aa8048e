// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio.hpp>
#include <ringbell/ring/detail/park_fence.hpp>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/pattern.hpp"
#include "support/resources.hpp"
#include "support/turns.hpp"

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

/// Servers that send back what they get, and their clients, in each of the styles that Asio has.
namespace ringbell::test::asio_echo {

// Of each connection.
#ifdef RINGBELL_UNDER_TSAN
inline const std::uint64_t messages = turns(300);
#else
inline const std::uint64_t messages = turns(slow_here ? 500 : 1500);
#endif
inline constexpr int styles = 4;
inline constexpr int asio_clients = 3 * styles;
inline constexpr int native_clients = 4;
inline constexpr int connections = asio_clients + native_clients;
inline constexpr std::chrono::seconds longest_run = 3 * patience;

// -- what goes there and back --

inline std::uint64_t seed_of(int client, std::uint64_t n) {
  return static_cast<std::uint64_t>(client) << 32 | n;
}
/// Now and then a message that is longer than the ring.
inline std::size_t size_of(std::uint64_t seed) {
  return seed % 64 == 63 ? 4096 + pick(seed, 4096) : 1 + pick(seed, 1000);
}
inline std::vector<std::byte> message_of(std::uint64_t seed) {
  return patterned(size_of(seed), seed);
}

/// What all ends together have seen, in whatever thread.
struct tally {
  std::atomic<std::uint64_t> echoed{0};  // by servers
  std::atomic<std::uint64_t> right{0};   // back at the clients, with the bytes that were sent
  std::atomic<std::uint64_t> wrong{0};
  std::atomic<int> ended{0};  // ends of connections
  void check(std::span<const std::byte> bytes, std::uint64_t seed) {
    ++(bytes.size() == size_of(seed) && matches(bytes, seed) ? right : wrong);
  }
  /// For those who must not fail.
  bool failed(const net_error_code& error) {
    if (error) ++wrong;
    return static_cast<bool>(error);
  }
  auto when_done() {
    return [this](std::exception_ptr e) {
      ++ended;
      if (!e) return;
      ++wrong;
      try {
        std::rethrow_exception(e);
      } catch (const std::exception& what) {
        std::fprintf(stderr, "a coroutine ended: %s\n", what.what());
      }
    };
  }
};

// -- where callbacks are called --

struct on_a_strand {
  net::strand<net::any_io_executor> strand;
  template <class Handler>
  auto operator()(Handler handler) const {
    return net::bind_executor(strand, std::move(handler));
  }
  /// Begins there.
  template <class F>
  void begin(F f) const {
    net::post(strand, std::move(f));
  }
};

/// For a chain of operations, of which each is started by the handler of the one before.
struct on_any_thread {
  net::any_io_executor executor;
  template <class Handler>
  Handler operator()(Handler handler) const {
    return handler;
  }
  template <class F>
  void begin(F f) const {
    net::post(executor, std::move(f));
  }
};

// -- servers: they send back what they get --

template <class Channel>
net::awaitable<void> echo(Channel ch, tally& all) {
  for (;;) {
    net_error_code error;
    const message m = co_await ch.async_recv(net::redirect_error(net::use_awaitable, error));
    if (error == net::error::eof) co_return;
    if (error) throw net_system_error(error);
    co_await ch.async_send(net::buffer(m.data(), m.size()), net::use_awaitable);
    ++all.echoed;
  }
}

/// By the conveniences, which do not suspend while they need not.
inline net::awaitable<void> echo_conveniently(asio_channel ch, tally& all) {
  while (const std::optional<message> m = co_await ch.recv()) {
    co_await ch.send(net::buffer(m->data(), m->size()));
    ++all.echoed;
  }
}

template <class Where>
class echo_by_callbacks : public std::enable_shared_from_this<echo_by_callbacks<Where>> {
public:
  echo_by_callbacks(asio_channel ch, Where where, tally& all)
      : channel_(std::move(ch)), where_(std::move(where)), all_(all) {}
  void start() {
    where_.begin([self = this->shared_from_this()] { self->receive(); });
  }

private:
  void receive() {
    channel_.async_recv(where_([self = this->shared_from_this()](net_error_code error, message m) {
      if (!error) return self->answer(std::move(m));
      if (error != net::error::eof) ++self->all_.wrong;
      ++self->all_.ended;
    }));
  }
  void answer(message m) {
    answered_ = std::move(m);
    channel_.async_send(net::buffer(answered_.data(), answered_.size()),
                        where_([self = this->shared_from_this()](net_error_code error) {
                          self->answered_.release();
                          if (!self->all_.failed(error)) ++self->all_.echoed;
                          self->receive();
                        }));
  }

  asio_channel channel_;
  message answered_;
  Where where_;
  tally& all_;
};

template <class Context>
net::awaitable<void> serve(Context& context, asio_listener& listener, tally& all) {
  const net::any_io_executor plain = context.get_executor();
  for (int n = 0; n < connections; ++n) {
    switch ((n + n / styles) % styles) {
      case 0: {  // the channel's own executor is a strand
        auto strand = net::make_strand(context);
        auto ch = co_await listener.async_accept(strand, net::use_awaitable);
        net::co_spawn(strand, echo(std::move(ch), all), all.when_done());
        break;
      }
      case 1: {  // the coroutine's executor is a strand
        asio_channel ch = co_await listener.async_accept(net::use_awaitable);
        net::co_spawn(net::make_strand(context), echo_conveniently(std::move(ch), all),
                      all.when_done());
        break;
      }
      case 2: {  // each handler's executor is a strand
        asio_channel ch = co_await listener.async_accept(net::use_awaitable);
        std::make_shared<echo_by_callbacks<on_a_strand>>(std::move(ch),
                                                         on_a_strand{net::make_strand(plain)}, all)
            ->start();
        break;
      }
      default: {  // no strand
        asio_channel ch = co_await listener.async_accept(net::use_awaitable);
        std::make_shared<echo_by_callbacks<on_any_thread>>(std::move(ch), on_any_thread{plain}, all)
            ->start();
        break;
      }
    }
  }
}

/// With a listener of its own.
template <class Context>
net::awaitable<void> serve_with(Context& context, std::unique_ptr<asio_listener> listener,
                                tally& all) {
  co_await serve(context, *listener, all);
}

// -- clients: they write and read at the same time, so that both rings are full most of the time --

inline connect_options small_ring() {
  connect_options o;
  o.ring_bytes = 4096;
  o.timeout = longest_run;
  return o;
}

template <class Channel>
net::awaitable<void> write_all(Channel& ch, int client) {
  for (std::uint64_t n = 0; n < messages; ++n) {
    const auto bytes = message_of(seed_of(client, n));
    co_await ch.async_send(net::buffer(bytes), net::use_awaitable);
  }
}
template <class Channel>
net::awaitable<void> read_all(Channel& ch, int client, tally& all) {
  for (std::uint64_t n = 0; n < messages; ++n) {
    const message m = co_await ch.async_recv(net::use_awaitable);
    all.check(m.bytes(), seed_of(client, n));
  }
}

/// On the executor of the coroutine, which is a strand, with a channel on `executor`.
template <class Executor>
net::awaitable<void> stream(Executor executor, std::string path, int client, tally& all) {
  auto ch = co_await async_connect(executor, std::move(path), small_ring(), net::use_awaitable);
  co_await (write_all(ch, client) && read_all(ch, client, all));
}

class stream_by_callbacks : public std::enable_shared_from_this<stream_by_callbacks> {
public:
  stream_by_callbacks(const net::any_io_executor& executor, int client, tally& all)
      : channel_(executor), where_{net::make_strand(executor)}, client_(client), all_(all) {}
  void start(std::string path) {
    where_.begin([self = shared_from_this(), path = std::move(path)]() mutable {
      async_connect(self->channel_.get_executor(), std::move(path), small_ring(),
                    self->where_([self](net_error_code error, asio_channel ch) {
                      if (self->all_.failed(error)) return;
                      self->channel_ = std::move(ch);
                      self->write();
                      self->read();
                    }));
    });
  }

private:
  void write() {
    if (written_ == messages) return;
    bytes_ = message_of(seed_of(client_, written_++));
    channel_.async_send(net::buffer(bytes_),
                        where_([self = shared_from_this()](net_error_code error) {
                          if (!self->all_.failed(error)) self->write();
                        }));
  }
  void read() {
    if (read_ == messages) {
      channel_.close();
      ++all_.ended;
      return;
    }
    channel_.async_recv(where_([self = shared_from_this()](net_error_code error, const message& m) {
      if (self->all_.failed(error)) return;
      self->all_.check(m.bytes(), seed_of(self->client_, self->read_++));
      self->read();
    }));
  }

  asio_channel channel_;
  on_a_strand where_;
  int client_;
  tally& all_;
  std::vector<std::byte> bytes_;
  std::uint64_t written_ = 0;
  std::uint64_t read_ = 0;
};

/// One message after the other, in one chain of operations without a strand.
class chain_by_callbacks : public std::enable_shared_from_this<chain_by_callbacks> {
public:
  chain_by_callbacks(const net::any_io_executor& executor, int client, tally& all)
      : channel_(executor), client_(client), all_(all) {}
  void start(std::string path) {
    async_connect(channel_.get_executor(), std::move(path), small_ring(),
                  [self = shared_from_this()](net_error_code error, asio_channel ch) {
                    if (self->all_.failed(error)) return;
                    self->channel_ = std::move(ch);
                    self->write();
                  });
  }

private:
  void write() {
    if (done_ == messages) {
      channel_.close();
      ++all_.ended;
      return;
    }
    bytes_ = message_of(seed_of(client_, done_));
    channel_.async_send(net::buffer(bytes_), [self = shared_from_this()](net_error_code error) {
      if (!self->all_.failed(error)) self->read();
    });
  }
  void read() {
    channel_.async_recv([self = shared_from_this()](net_error_code error, const message& m) {
      if (self->all_.failed(error)) return;
      self->all_.check(m.bytes(), seed_of(self->client_, self->done_++));
      self->write();
    });
  }

  asio_channel channel_;
  int client_;
  tally& all_;
  std::vector<std::byte> bytes_;
  std::uint64_t done_ = 0;
};

template <class Context>
void start_client(Context& context, const std::string& path, int client, tally& all) {
  const net::any_io_executor plain = context.get_executor();
  switch (client % styles) {
    case 0: {
      auto strand = net::make_strand(context);
      net::co_spawn(strand, stream(strand, path, client, all), all.when_done());
      break;
    }
    case 1:
      net::co_spawn(net::make_strand(context), stream(plain, path, client, all), all.when_done());
      break;
    case 2: std::make_shared<stream_by_callbacks>(plain, client, all)->start(path); break;
    default: std::make_shared<chain_by_callbacks>(plain, client, all)->start(path); break;
  }
}

}  // namespace ringbell::test::asio_echo

#endif
