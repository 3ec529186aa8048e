// SPDX-License-Identifier: BSL-1.0
#include "proxy/relay.hpp"

#include <exception>
#include <memory>
#include <utility>

namespace ringbell::tool {

namespace {

// Each system call moves up to as many bytes. So many small records of a ring take one call.
constexpr std::size_t chunk = 64 << 10;
constexpr std::chrono::seconds longest_discarding{5};

const char* name_of(relay::side s) { return s == relay::side::socket ? "socket" : "stream"; }

}  // namespace

void relay::fail(std::string reason) {
  if (failure_.empty()) failure_ = std::move(reason);
  net_error_code ignored;
  connecting_.emit(net::cancellation_type::terminal);
  discarding_.cancel();
  stream_.abort();
  // With this option TCP sends a reset.
  (void)socket_.set_option(net::socket_base::linger(true, 0), ignored);
  (void)socket_.close(ignored);
}

/// To close a socket whose peer still sends would reset it, and with it what the peer has not read
/// yet. So what comes is discarded until the peer ends, for a limited time.
void relay::limit_discarding() {
  if (!stream_reads_no_more_ || !stream_ended_ || socket_ended_) return;
  discarding_.expires_after(longest_discarding);
  discarding_.async_wait([self = shared_from_this()](const net_error_code& cancelled) {
    if (!cancelled) self->fail("the socket goes on sending what the service does not read");
  });
}

template <class From, class To>
net::awaitable<void> relay::carry(std::shared_ptr<relay> self, From& from, To& to, side source) {
  const auto buffer = std::make_unique_for_overwrite<std::byte[]>(chunk);
  const bool of_socket = source == side::socket;
  net_error_code error;
  auto told = net::redirect_error(net::use_awaitable, error);
  for (;;) {
    const std::size_t n = co_await from.async_read_some(net::buffer(buffer.get(), chunk), told);
    if (error) break;
    self->last_moved_ = clock::now();
    for (std::size_t done = 0; done < n && !(of_socket && self->stream_reads_no_more_);) {
      const std::size_t part =
          co_await to.async_write_some(net::buffer(buffer.get() + done, n - done), told);
      if (error) break;
      done += part;
      self->bytes_[!of_socket] += part;
      self->last_moved_ = clock::now();
    }
    if (!error) continue;
    // This direction has no reader any more. The other one goes on: what the peer wrote before is
    // still to be read.
    if (self->failure_.empty())
      self->failure_ = std::string("the peer of the ") +
                       name_of(of_socket ? side::stream : side::socket) +
                       " reads no more: " + error.message();
    if (of_socket) {
      self->stream_reads_no_more_ = true;
      self->limit_discarding();
      continue;
    }
    self->socket_reset_ = error == net::error::connection_reset;
    from.shutdown(net::socket_base::shutdown_receive, error);
    co_return;
  }
  // When a write has got the word of a reset, the read after it gets no more than the end.
  if (error == net::error::eof && !(of_socket && self->socket_reset_)) {
    to.shutdown(net::socket_base::shutdown_send, error);
    (of_socket ? self->socket_ended_ : self->stream_ended_) = true;
    self->discarding_.cancel();
    self->limit_discarding();
  } else {
    if (error == net::error::eof) error = net::error::connection_reset;
    self->fail(std::string("reading from the ") + name_of(source) + ": " + error.message());
  }
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
