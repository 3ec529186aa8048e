// SPDX-License-Identifier: BSL-1.0
#include "demo/asio.hpp"

#include "demo/session.hpp"

#ifndef RINGBELL_WITH_ASIO

namespace ringbell::tool {

std::string asio_built_with() { return {}; }

std::unique_ptr<demo::asio_link> demo::asio_link::accept(const std::string&,
                                                         const common_options&) {
  return nullptr;
}
std::unique_ptr<demo::asio_link> demo::asio_link::connect(const std::string&,
                                                          const common_options&) {
  return nullptr;
}

}  // namespace ringbell::tool

#else

#include <ringbell/asio.hpp>

#include <algorithm>
#include <array>
#include <cstring>
#include <exception>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

namespace ringbell::tool {

namespace demo {

namespace {

using clock = std::chrono::steady_clock;

// Within a coroutine g++ 12 destroys some temporaries twice: what is not trivial gets a name there.

net::awaitable<void> echo_all(asio_channel& ch) {
  std::array<std::byte, largest_echo> copy;
  while (auto m = co_await ch.recv()) {
    const std::size_t size = m->size();
    if (size == 0 || size > copy.size()) co_return;
    // Released before replying: the reply then carries the news.
    std::memcpy(copy.data(), m->data(), size);
    m->release();
    co_await ch.send(net::buffer(copy.data(), size));
  }
}

net::awaitable<void> time_round_trips(asio_channel& ch, std::size_t size, int warm_up,
                                      clock::duration d, sample& s) {
  const std::vector<std::byte> payload(size, std::byte{42});
  for (int i = 0; i < warm_up; ++i) {
    co_await ch.send(net::buffer(payload));
    co_await ch.recv();
  }
  clock::time_point last = clock::now();
  const clock::time_point begin = last;
  const clock::time_point end = begin + d;
  while (last < end) {
    co_await ch.send(net::buffer(payload));
    auto reply = co_await ch.recv();
    if (!reply) throw std::system_error(errc::peer_closed);
    reply->release();
    const clock::time_point now = clock::now();
    s.times.add(static_cast<std::uint64_t>(std::chrono::nanoseconds(now - last).count()));
    last = now;
  }
  s.seconds = std::chrono::duration<double>(last - begin).count();
  s.messages = s.times.count() + static_cast<std::uint64_t>(warm_up);
  co_await ch.send(net::const_buffer());
}

/// In the terms of the rest of the program, which has exit codes for them.
std::error_code as_ours(const net_error_code& error) {
  if (error == net::error::eof || error == net::error::connection_reset) return errc::peer_closed;
  return error;
}

class link final : public asio_link {
public:
  explicit link(spin_policy spin) : spin_(spin), channel_(context_) {}

  void accept(const std::string& name, const listener_options& options) {
    asio_listener from(context_, name, options);
    from.async_accept(
        [this](net_error_code error, asio_channel made) { take(error, std::move(made)); });
    run();
  }
  void connect(const std::string& name, const connect_options& options) {
    async_connect(context_, name, options, [this](net_error_code error, asio_channel made) {
      take(error, std::move(made));
    });
    run();
  }

  void echo() override { run(echo_all(channel_)); }
  void round_trips(std::size_t size, int warm_up, std::chrono::nanoseconds d, sample& s) override {
    run(time_round_trips(channel_, size, warm_up, d, s));
  }
  channel_statistics statistics() const override { return channel_.statistics(); }

private:
  void take(const net_error_code& error, asio_channel made) {
    if (error) throw net_system_error(error);
    channel_ = std::move(made);
    channel_.spin(spin_);
  }
  void run(net::awaitable<void> what) {
    net::co_spawn(context_, std::move(what), [](const std::exception_ptr& e) {
      if (e) std::rethrow_exception(e);
    });
    run();
  }
  void run() {
    try {
      context_.restart();
      context_.run();
    } catch (const net_system_error& error) {
      throw std::system_error(as_ours(error.code()), "Asio");
    }
  }

  spin_policy spin_;
  net::io_context context_;
  asio_channel channel_;
};

}  // namespace

std::unique_ptr<asio_link> asio_link::accept(const std::string& name,
                                             const common_options& common) {
  auto made = std::make_unique<link>(common.for_loop().spin);
  made->accept(name, common.for_listener());
  return made;
}

std::unique_ptr<asio_link> asio_link::connect(const std::string& name,
                                              const common_options& common) {
  auto made = std::make_unique<link>(common.for_loop().spin);
  made->connect(name, common.for_connect());
  return made;
}

}  // namespace demo

std::string asio_built_with() {
#ifdef RINGBELL_BOOST_ASIO
  constexpr int version = BOOST_VERSION;
  constexpr const char* name = "Boost.Asio ";
#else
  constexpr int version = RINGBELL_ASIO_VERSION;
  constexpr const char* name = "Asio ";
#endif
  return name + std::to_string(version / 100000) + '.' + std::to_string(version / 100 % 1000) +
         '.' + std::to_string(version % 100);
}

}  // namespace ringbell::tool

#endif
