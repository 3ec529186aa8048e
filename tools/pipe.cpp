// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "system/calls.hpp"
#include "system/standard_streams.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/coro/when_any.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/loop/signals.hpp>

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <utility>

namespace ringbell::tool {

namespace {

// A quarter of the ring in one message lets both sides work at the same time.
constexpr std::uint64_t usual_pipe_ring = std::uint64_t{1} << 20;
constexpr std::size_t largest_chunk = 256 << 10;

/// Both directions of one connection.
class transfer {
public:
  transfer(loop& lp, channel& ch) : channel_(ch), watch_(lp) {}

  /// Ends when both streams have ended in order; throws when one did not.
  task<> run() {
    co_await when_all(send_all(), receive_all());
    if (send_error_) throw std::system_error(send_error_, "sending to the peer");
  }

private:
  /// Reads standard input straight into the ring.
  task<> send_all() {
    const std::size_t chunk =
        std::clamp<std::size_t>(channel_.max_claim() / 3 * 2, 1, largest_chunk);
    for (bool more = true; more;) {
      co_await input_.ready();
      result<claim> space = co_await as_result(channel_.claim(chunk));
      // What the peer sent before it went is still to be received; that end says the same.
      if (!space && space.error() == errc::peer_closed) {
        send_error_ = space.error();
        break;
      }
      more = input_.read(std::move(space).value());
    }
    channel_.sender().close();
    sent_all_ = true;
    watch_.request_stop();
  }

  task<> receive_all() {
    while (auto m = co_await channel_.recv()) co_await output_.write(m->bytes());
    output_.close();
    // From here on nothing that is received tells that the peer has died.
    watch_.spawn(until_hangup());
    co_await watch_.join();
  }

  /// Throws when the peer hangs up before all is sent. What comes on the control socket is the
  /// channel's to take: it hears of it as this does, and knows.
  task<> until_hangup() {
    while (!ringbell::detail::access::impl_of(channel_)->ring().gone()) {
      co_await readable(ringbell::detail::access::impl_of(channel_)->parts().control.native());
      co_await yield();
    }
    if (!sent_all_) throw std::system_error(errc::peer_closed);
  }

  channel& channel_;
  standard_input input_;
  standard_output output_;
  scope watch_;
  std::error_code send_error_;
  bool sent_all_ = false;
};

/// A failed transfer must not look like the end of the stream: the channel is not closed, the
/// process just ends, and the peer sees that it died.
[[noreturn]] void die(const std::system_error& error) { std::_Exit(complain(error)); }

task<> transfer_all(loop& lp, channel ch) {
  try {
    transfer both(lp, ch);
    co_await both.run();
  } catch (const std::system_error& error) {
    die(error);
  }
}

task<channel> accept_one(loop& lp, const pipe_options& options) {
  listener_options how = options.common.for_listener();
  if (!options.common.ring_bytes) how.default_ring_bytes = usual_pipe_ring;
  how.max_clients = 1;
  listener from = listener::bind(lp, options.listen, how);
  co_return co_await from.accept();
}

task<channel> connect_one(loop& lp, const pipe_options& options) {
  connect_options how = options.common.for_connect();
  if (!options.common.ring_bytes) how.ring_bytes = how.peer_ring_bytes = usual_pipe_ring;
  how.timeout = options.timeout;
  co_return co_await connect(lp, options.connect, how);
}

/// Until there is a peer, a signal ends it in order, so that no socket stays behind; afterwards
/// signals act as they always do.
task<int> pipe(loop& lp, const pipe_options& options) {
  channel ch;
  {
    // Named: g++ 12 destroys the conditional's temporary twice when the expression awaits.
    task<channel> peer =
        options.listen.empty() ? connect_one(lp, options) : accept_one(lp, options);
    auto first = co_await when_any(std::move(peer), signalled(signal_set(ending_signals())));
    if (first.index() == 1) co_return exit_signal + first.get<1>();
    ch = std::move(first.get<0>());
  }
  co_await transfer_all(lp, std::move(ch));
  co_return exit_ok;
}

}  // namespace

int run_pipe(const pipe_options& options) {
  loop lp(options.common.for_loop());
  return lp.run(pipe(lp, options));
}

}  // namespace ringbell::tool
