// SPDX-License-Identifier: BSL-1.0
#include "proxy/relay.hpp"

#include <exception>
#include <memory>
#include <utility>

namespace ringbell::tool {

namespace {

// Each system call moves up to as many bytes. So many small records of a ring take one call.
constexpr std::size_t chunk = 64 << 10;

const char* name_of(relay::side s) { return s == relay::side::socket ? "socket" : "stream"; }

}  // namespace

relay::~relay() {
  // A peer whose last bytes found no reader must not take this for an orderly end.
  if (!failure_.empty()) fail({});
}

void relay::fail(std::string reason) {
  if (failure_.empty()) failure_ = std::move(reason);
  net_error_code ignored;
  stream_.abort();
  socket_.set_option(net::socket_base::linger(true, 0), ignored);  // TCP sends a reset
  socket_.close(ignored);
}

template <class From, class To>
net::awaitable<void> relay::carry(std::shared_ptr<relay> self, From& from, To& to, side source) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(chunk);
  net_error_code error;
  auto told = net::redirect_error(net::use_awaitable, error);
  for (;;) {
    const std::size_t n = co_await from.async_read_some(net::buffer(buffer.get(), chunk), told);
    if (error) break;
    co_await net::async_write(to, net::buffer(buffer.get(), n), told);
    if (error) {
      // The other direction goes on, because what that peer wrote before it went can be read.
      if (self->failure_.empty())
        self->failure_ = std::string("the peer of the ") +
                         name_of(source == side::socket ? side::stream : side::socket) +
                         " reads no more: " + error.message();
      from.shutdown(net::socket_base::shutdown_receive, error);
      co_return;
    }
    self->bytes_[source == side::stream] += n;
    self->last_moved_ = clock::now();
  }
  if (error == net::error::eof)
    to.shutdown(net::socket_base::shutdown_send, error);
  else
    self->fail(std::string("reading from the ") + name_of(source) + ": " + error.message());
}

void relay::start() {
  last_moved_ = clock::now();
  const auto ended = [self = shared_from_this()](const std::exception_ptr& error) {
    if (!error) return;
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      self->fail(e.what());
    }
  };
  const auto executor = stream_.get_executor();
  net::co_spawn(executor, carry(shared_from_this(), socket_, stream_, side::socket), ended);
  net::co_spawn(executor, carry(shared_from_this(), stream_, socket_, side::stream), ended);
}

}  // namespace ringbell::tool
