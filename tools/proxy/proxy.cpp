// SPDX-License-Identifier: BSL-1.0
#include "commands.hpp"
#include "exit_codes.hpp"

#ifndef RINGBELL_WITH_ASIO

int ringbell::tool::run_proxy(const proxy_options&) {
  complain("this program was built without Asio, which 'proxy' needs (on Debian: libasio-dev)");
  return exit_failure;
}

#else

#include "proxy/relay.hpp"
#include "system/calls.hpp"
#include "system/standard_streams.hpp"

#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>

#include <algorithm>
#include <cstdio>
#include <exception>
#include <map>
#include <optional>
#include <system_error>
#include <utility>

namespace ringbell::tool {

namespace {

using std::chrono::milliseconds;
using tcp = net::ip::tcp;
using endpoint = net::generic::stream_protocol::endpoint;

#if !defined(_WIN32) && (defined(ASIO_HAS_LOCAL_SOCKETS) || defined(BOOST_ASIO_HAS_LOCAL_SOCKETS))
#define RINGBELL_TOOL_HAS_UNIX_SOCKETS
using unix_socket = net::local::stream_protocol;
#endif

// How long an acceptor waits when the system has refused it something, such as a descriptor.
constexpr milliseconds pause_after_refusal{100};
// How long it waits before it connects again to a server that has no room for connections.
constexpr milliseconds pause_before_retry{10};

/// In some versions of Asio, a code of its own system category equals no `std::errc`.
std::error_code as_system(const net_error_code& error) {
  if (error.category() == net::error::get_system_category())
    return {error.value(), std::system_category()};
  return error;
}
[[noreturn]] void fail(const net_error_code& error, const std::string& doing) {
  throw sys::failure(as_system(error), doing);
}

std::string text_of(const endpoint& peer) {
  const int family = peer.protocol().family();
  if (family != tcp::v4().family() && family != tcp::v6().family()) return "a Unix socket";
  tcp::endpoint of_tcp;
  of_tcp.resize(peer.size());
  std::copy_n(reinterpret_cast<const char*>(peer.data()), peer.size(),
              reinterpret_cast<char*>(of_tcp.data()));
  const std::string host = of_tcp.address().to_string();
  return (of_tcp.address().is_v6() ? "[" + host + "]" : host) + ":" + std::to_string(of_tcp.port());
}

/// All endpoints of an address that is a socket's.
std::vector<endpoint> resolve(net::io_context& context, const proxy_address& address) {
  std::vector<endpoint> all;
  if (address.what == proxy_address::kind::unix_socket) {
#ifdef RINGBELL_TOOL_HAS_UNIX_SOCKETS
    try {
      all.emplace_back(unix_socket::endpoint(address.path));
    } catch (const net_system_error&) {
      throw std::system_error(errc::bad_name, "ringbell: the path in '" + text_of(address) +
                                                  "' is longer than that of a Unix socket can be");
    }
    return all;
#else
    throw std::system_error(errc::not_supported, "ringbell: there are no Unix sockets here for '" +
                                                     text_of(address) + "'");
#endif
  }
  tcp::resolver resolver(context);
  net_error_code error;
  for (const auto& found :
       resolver.resolve(address.host, address.port, tcp::resolver::numeric_service, error))
    all.emplace_back(found.endpoint());
  if (error) fail(error, "looking up the host of '" + text_of(address) + "'");
  return all;
}

class proxy {
public:
  explicit proxy(const proxy_options& options)
      : options_(options), room_(context_), stop_after_(context_), sweep_(context_) {}
  proxy(const proxy&) = delete;
  proxy& operator=(const proxy&) = delete;
  ~proxy() { gone_ = true; }

  void run() {
    if (options_.to.is_socket()) targets_ = resolve(context_, options_.to);
    await_signal();  // first, because whoever reads the line of `announce` may send one
    listen();
    if (options_.idle_timeout.count() != 0) end_idle_ones();
    if (options_.verbose && is_terminal(standard_stream::errors)) show_progress();
    context_.run();
    if (options_.verbose) say("all connections have ended: " + counts());
    if (accepting_failed_) std::rethrow_exception(accepting_failed_);
  }

private:
  // -- listening --

  void listen() {
    const proxy_address& on = options_.listen;
    if (!on.is_socket()) {
      listener_options how = options_.common.for_listener();
      how.max_clients = options_.max_connections;
      how.for_all_users = options_.all_users;
      streams_.emplace(context_, on.path, how);
      announce(streams_->path());
      spawn(accept_streams());
      return;
    }
    const std::vector<endpoint> where = resolve(context_, on);
    sockets_.emplace(context_);
    if (on.what == proxy_address::kind::tcp)
      listen_on_tcp(where.front());
    else
      listen_on_unix_socket(where.front());
    spawn(accept_sockets());
  }

  void listen_on_tcp(const endpoint& where) {
    net_error_code error;
    (void)sockets_->open(where.protocol(), error);
#ifndef _WIN32  // there it would let a second server in
    if (!error) (void)sockets_->set_option(net::socket_base::reuse_address(true), error);
#endif
    if (!error) (void)sockets_->bind(where, error);
    if (!error) (void)sockets_->listen(net::socket_base::max_listen_connections, error);
    if (error) fail(error, "listening on '" + text_of(options_.listen) + "'");
    announce("tcp:" + text_of(sockets_->local_endpoint()));
  }

  /// The name is taken and given up as a service does it.
  void listen_on_unix_socket([[maybe_unused]] const endpoint& where) {
#ifdef RINGBELL_TOOL_HAS_UNIX_SOCKETS
    const std::string doing = "listening on '" + text_of(options_.listen) + "'";
    std::error_code error;
    name_ = sys::local_listener::bind(options_.listen.path, options_.all_users, error);
    if (error)
      throw sys::failure(error, doing + sys::local_listener::obstacles(options_.listen.path));
    sys::handle borrowed(name_.native());
    sys::handle copy = borrowed.duplicate(error);
    (void)borrowed.release();
    if (error) throw sys::failure(error, doing);
    net_error_code refused;
    (void)sockets_->assign(where.protocol(), copy.release(), refused);
    if (refused) fail(refused, doing);
    announce(text_of(options_.listen));
#endif
  }

  void announce(const std::string& where) {
    print_line("ringbell: proxy listens on " + where + " and connects to " + text_of(options_.to));
  }

  net::awaitable<void> accept_sockets() {
    net_error_code error;
    auto told = net::redirect_error(net::use_awaitable, error);
    for (;;) {
      co_await wait_for_room();
      proxy_socket accepted(context_);
      co_await sockets_->async_accept(accepted, told);
      if (!error) {
        net_error_code ignored;
        const endpoint peer = accepted.remote_endpoint(ignored);
        const std::string from = ignored ? "a socket that has gone" : text_of(peer);
        begin(std::move(accepted), asio_stream(context_), from);
      }
      if (stopping_) co_return;
      co_await pause_after(error);
    }
  }

  net::awaitable<void> accept_streams() {
    net_error_code error;
    auto told = net::redirect_error(net::use_awaitable, error);
    for (;;) {
      asio_stream accepted = co_await streams_->async_accept(told);
      if (!error) {
        const std::string from = "process " + std::to_string(accepted.peer().process);
        begin(proxy_socket(context_), std::move(accepted), from);
      }
      if (stopping_) co_return;
      co_await pause_after(error);
    }
  }

  net::awaitable<void> wait_for_room() {
    while (relays_.size() >= options_.max_connections && !stopping_) {
      room_.expires_at(net::steady_timer::time_point::max());
      net_error_code ignored;
      co_await room_.async_wait(net::redirect_error(net::use_awaitable, ignored));
    }
  }

  /// Says why nothing could be accepted, once for each reason, and waits a moment.
  net::awaitable<void> pause_after(net_error_code error) {
    if (error && error != last_refusal_) complain("accepting a connection: " + error.message());
    last_refusal_ = error;
    if (!error) co_return;
    net::steady_timer pause(context_, pause_after_refusal);
    co_await pause.async_wait(net::use_awaitable);
  }

  // -- connections --

  void begin(proxy_socket socket, asio_stream stream, const std::string& from) {
    const std::uint64_t number = ++begun_;
    std::shared_ptr<relay> made(new relay(std::move(socket), std::move(stream)),
                                [this, number](relay* r) { ended(number, r); });
    relays_.emplace(number, made.get());
    if (options_.verbose) say(name_of(number) + " from " + from);
    const auto connected = [this, number, made](const std::exception_ptr& error) {
      if (!error) return;
      try {
        std::rethrow_exception(error);
      } catch (const std::exception& e) {
        if (made->failure().empty())
          complain(name_of(number) + ": connecting to " + text_of(options_.to) + ": " + e.what());
        made->fail("no connection");
      }
    };
    net::co_spawn(context_, connect(made),
                  net::bind_cancellation_slot(made->connecting(), connected));
  }

  net::awaitable<void> connect(std::shared_ptr<relay> made) {
    if (options_.to.is_socket())
      co_await connect_socket(made);
    else
      co_await connect_stream(made);
    if (made->failure().empty()) made->start();
  }

  net::awaitable<void> connect_stream(std::shared_ptr<relay> made) {
    connect_options how = options_.common.for_connect();
    how.timeout = options_.connect_timeout;
    made->stream() =
        co_await async_connect_stream(context_, options_.to.path, how, net::use_awaitable);
    prepare(*made);
  }

  net::awaitable<void> connect_socket(std::shared_ptr<relay> made) {
    net::steady_timer limit(context_, options_.connect_timeout);
    limit.async_wait([made](const net_error_code& cancelled) {
      net_error_code ignored;
      if (!cancelled) (void)made->socket().close(ignored);
    });
    net_error_code error;
    for (;;) {
      co_await net::async_connect(made->socket(), targets_,
                                  net::redirect_error(net::use_awaitable, error));
      // What a Unix socket says when its server has not accepted for long: TCP waits then.
      const bool full = error == net::error::try_again || error == net::error::no_buffer_space;
      if (!full || limit.expiry() <= relay::clock::now()) break;
      net::steady_timer pause(context_, pause_before_retry);
      co_await pause.async_wait(net::use_awaitable);
    }
    if (limit.cancel() == 0) error = net::error::timed_out;  // it has closed the socket, or will
    if (error) throw net_system_error(error);
    prepare(*made);
  }

  void prepare(relay& r) {
    r.stream().spin(options_.common.for_loop().spin);
    net_error_code not_tcp;
    (void)r.socket().set_option(tcp::no_delay(true), not_tcp);
    // A host that has vanished without a word is noticed after two hours or so.
    (void)r.socket().set_option(net::socket_base::keep_alive(true), not_tcp);
  }

  void ended(std::uint64_t number, relay* r) {
    const std::unique_ptr<relay> owned(r);
    if (gone_) return;
    relays_.erase(number);
    room_.cancel();
    from_listening_ += r->bytes_from(listening_side());
    from_target_ += r->bytes_from(target_side());
    if (!r->failure().empty()) ++failed_;
    if (options_.verbose)
      say(name_of(number) + " ended after " + format_duration(relay::clock::now() - r->begun()) +
          ": " + bytes(r->bytes_from(listening_side()), r->bytes_from(target_side())) +
          (r->failure().empty() ? "" : "; " + r->failure()));
    if (stopping_ && relays_.empty()) finish();
  }

  void fail_all(const std::string& reason) {
    // Failing may end a relay and take it out of the map, so all are held first.
    std::vector<std::shared_ptr<relay>> all;
    for (const auto& [number, r] : relays_)
      if (auto held = r->weak_from_this().lock()) all.push_back(std::move(held));
    for (const auto& r : all) r->fail(reason);
  }

  void end_idle_ones() {
    sweep_.expires_after(std::clamp<std::chrono::nanoseconds>(
        options_.idle_timeout / 8, milliseconds(10), milliseconds(1000)));
    sweep_.async_wait([this](const net_error_code& cancelled) {
      if (cancelled || finished_) return;
      std::vector<std::shared_ptr<relay>> idle;
      const auto before = relay::clock::now() - options_.idle_timeout;
      for (const auto& [number, r] : relays_)
        if (r->last_moved() < before)
          if (auto held = r->weak_from_this().lock()) idle.push_back(std::move(held));
      for (const auto& r : idle)
        r->fail("nothing has come for " + format_duration(options_.idle_timeout));
      end_idle_ones();
    });
  }

  // -- the end --

  void await_signal() {
    for (const int signal : stopping_signals()) signals_.add(signal);
    signals_.async_wait([this](const net_error_code& cancelled, int) {
      if (cancelled) return;
      signals_.async_wait([this](const net_error_code& again_cancelled, int) {
        if (!again_cancelled) fail_all("the proxy was told to stop at once");
      });
      stop();
    });
  }

  /// Takes no further connections. Those that are open may end within the grace.
  void stop() {
    if (std::exchange(stopping_, true)) return;
    if (streams_) streams_->close();
    net_error_code ignored;
    if (sockets_) (void)sockets_->close(ignored);
    name_ = sys::local_listener();
    room_.cancel();
    if (relays_.empty()) return finish();
    stop_after_.expires_after(options_.grace);
    stop_after_.async_wait([this](const net_error_code& cancelled) {
      if (cancelled || relays_.empty()) return;
      complain(std::to_string(relays_.size()) + " connections that had not ended within " +
               format_duration(options_.grace) + " were reset; --grace gives them more time");
      fail_all("the proxy has stopped");
    });
  }

  void finish() {
    finished_ = true;  // a timer that is due already is not cancelled any more
    stop_after_.cancel();
    sweep_.cancel();
    progress_.cancel();
    signals_.cancel();
  }

  void spawn(net::awaitable<void> accepting) {
    net::co_spawn(context_, std::move(accepting), [this](const std::exception_ptr& error) {
      if (!error) return;
      accepting_failed_ = error;
      stop();
    });
  }

  // -- what it says --

  relay::side listening_side() const noexcept {
    return options_.listen.is_socket() ? relay::side::socket : relay::side::stream;
  }
  relay::side target_side() const noexcept {
    return options_.listen.is_socket() ? relay::side::stream : relay::side::socket;
  }
  static std::string name_of(std::uint64_t number) {
    return "connection " + std::to_string(number);
  }
  static std::string bytes(std::uint64_t there, std::uint64_t back) {
    return format_bytes(static_cast<double>(there)) + " there, " +
           format_bytes(static_cast<double>(back)) + " back";
  }
  std::string counts() const {
    std::uint64_t there = from_listening_;
    std::uint64_t back = from_target_;
    for (const auto& [number, r] : relays_) {
      there += r->bytes_from(listening_side());
      back += r->bytes_from(target_side());
    }
    return std::to_string(begun_) + " in all, " + std::to_string(relays_.size()) + " open, " +
           std::to_string(failed_) + " failed; " + bytes(there, back);
  }
  /// Writes a line in place of the one that shows the progress.
  void say(const std::string& text) const {
    if (is_terminal(standard_stream::errors)) std::fputs("\r\033[K", stderr);
    complain(text);
  }
  void show_progress() {
    std::fprintf(stderr, "\r\033[K%s", counts().c_str());
    progress_.expires_after(milliseconds(1000));
    progress_.async_wait([this](const net_error_code& cancelled) {
      if (cancelled || finished_)
        std::fputs("\r\033[K", stderr);
      else
        show_progress();
    });
  }

  const proxy_options& options_;
  std::map<std::uint64_t, relay*> relays_;
  std::uint64_t begun_ = 0;
  std::uint64_t failed_ = 0;
  std::uint64_t from_listening_ = 0;
  std::uint64_t from_target_ = 0;
  bool stopping_ = false;
  bool finished_ = false;
  bool gone_ = false;
  std::exception_ptr accepting_failed_;
  net_error_code last_refusal_;
  std::vector<endpoint> targets_;
  // Ends before what its operations use.
  net::io_context context_{1};
  sys::local_listener name_;  // of a Unix socket
  std::optional<net::basic_socket_acceptor<net::generic::stream_protocol>> sockets_;
  std::optional<asio_stream_acceptor> streams_;
  net::signal_set signals_{context_};
  net::steady_timer room_;
  net::steady_timer stop_after_;
  net::steady_timer sweep_;
  net::steady_timer progress_{context_};
};

}  // namespace

int run_proxy(const proxy_options& options) {
  allow_many_descriptors();
  proxy(options).run();
  return exit_ok;
}

}  // namespace ringbell::tool

#endif
