// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/connect.hpp>

#include "channel/end_handshake.hpp"

#include <ringbell/channel/detail/handshake.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/sys/limit.hpp>
#include <ringbell/sys/service_path.hpp>

#include <algorithm>
#include <system_error>

namespace ringbell {

namespace {

using clock = loop::clock;

constexpr std::chrono::nanoseconds first_pause = std::chrono::milliseconds(1);
constexpr std::chrono::nanoseconds longest_pause = std::chrono::milliseconds(100);
// For a full backlog. A backlog holds thousands of clients, which keep the server busy for longer
// than this. If thousands more tried again every 100 ms, they would take the processor time that
// the server needs to accept them.
constexpr std::chrono::nanoseconds longest_pause_in_a_crowd = std::chrono::milliseconds(500);

/// Everything that this side makes for a connection before it knows the server's answer. The region
/// is made before connecting, so the greeting is sent at once: it reaches a server that has just
/// been woken by the connection, and need not wake it again.
struct greeting {
  greeting() noexcept {}
  sys::region region;
  sys::event_bell bell;
  handshake::hello hello;
};

sys::region make_region(const connect_options& options) {
  std::error_code error;
  sys::region region = detail::create_ring_region(options.ring_bytes, error);
  if (error)
    throw sys::failure(error, "ringbell: shared memory for a ring of " +
                                  std::to_string(options.ring_bytes) + " bytes");
  return region;
}

void prepare(greeting& g, const loop& lp, const connect_options& options,
             handshake::record_kind kind, const sys::peer_identity& server) {
  std::error_code error;
  const bool same_user = sys::is_current_user(server.user);
  g.hello.kind = kind;
  g.hello.can_wait_on = handshake::usable_between(
      detail::usable_bells(options.bells.value_or(detail::default_bells), lp), same_user);
  g.hello.can_ring = handshake::usable_between(sys::system_bells(), same_user);
  g.hello.ring_bytes = options.ring_bytes;
  g.hello.wanted_ring_bytes = options.peer_ring_bytes;
  g.hello.max_message = options.max_message;
  if (g.hello.can_wait_on & sys::bell_bit(sys::bell_kind::eventfd)) {
    g.bell = sys::event_bell::create(error);
    if (error) throw sys::failure(error, "ringbell: a bell");
  }
}

std::string text_of_kind(std::uint64_t kind) {
  switch (kind) {
    case static_cast<std::uint64_t>(handshake::record_kind::messages): return "messages";
    case static_cast<std::uint64_t>(handshake::record_kind::stream): return "streams of bytes";
    default: return "records of a kind that this library does not know";
  }
}

std::string text_of(const handshake::refused& r, handshake::record_kind wanted) {
  const auto range = std::to_string(r.limit_low) + " to " + std::to_string(r.limit_high);
  switch (r.reason) {
    case errc::refused_version:
      return "ringbell: the server speaks versions " + range + ", this library " +
             std::to_string(handshake::protocol_version);
    case errc::refused_ring_size:
      return "ringbell: the server accepts rings of " + range + " bytes";
    case errc::refused_too_many:
      return "ringbell: the server allows " + std::to_string(r.limit_high) + " clients";
    case errc::refused_too_many_of_user:
      return "ringbell: the server allows " + std::to_string(r.limit_high) + " clients of one user";
    case errc::refused_kind:
      return "ringbell: the server has " + text_of_kind(r.limit_low) + ", and this client wants " +
             text_of_kind(static_cast<std::uint64_t>(wanted));
    case errc::refused_no_resources:
      if (r.limit_high != 0)
        return "ringbell: the server has all descriptors in use that it may have (" +
               std::to_string(r.limit_high) + ")";
      return "ringbell: the server has no memory for another client";
    default: return "ringbell: refused by the server";
  }
}

/// Sends the whole greeting, which is smaller than any socket buffer. A server that refuses need
/// not read the greeting and may have hung up. So after `errc::peer_closed` the caller looks for an
/// answer first.
std::error_code send_greeting(sys::local_socket& socket, greeting& g) noexcept {
  const handshake::encoded_frame frame = handshake::encode(g.hello);
  const sys::native_handle handles[] = {g.region.shared_handle(), g.bell.native()};
  const auto sent =
      socket.send(frame.bytes(), std::span(handles).first(handshake::expected_handles(g.hello)));
  if (!sent) return sent.error();
  if (sys::sent_handles_travel) g.region.close_handle();
  return *sent == frame.size ? std::error_code() : errc::peer_closed;
}

/// Waits for the server's answer.
/// Errors: throws `errc::peer_closed` when the server hung up instead.
task<handshake::frame> read_answer(sys::local_socket& socket, sys::received_handles& handles) {
  handshake::frame_reader reader(handshake::answer_size);
  for (;;) {
    const auto got = socket.receive(reader.want(), handles);
    if (!got && got.error() == errc::would_block) {
      co_await readable(socket.native());
      continue;
    }
    if (!got) throw sys::failure(got.error(), "ringbell: the server's answer");
    if (*got == 0)
      throw std::system_error(errc::peer_closed,
                              "ringbell: the server hung up during the handshake");
    const auto frame = reader.received(*got);
    if (frame) co_return *frame;
    if (frame.error() != errc::would_block)
      throw std::system_error(frame.error(), "ringbell: the server's answer");
  }
}

/// Makes a connection of both sides' halves.
detail::connection_parts finish(sys::local_socket socket, greeting g, const handshake::welcome& w,
                                sys::received_handles& handles, const sys::peer_identity& server) {
  // The server is not trusted either.
  std::error_code error = handshake::check(w, g.hello);
  detail::connection_parts parts;
  if (!error)
    error =
        detail::end_handshake(detail::handshake_side::client, g.hello, w, socket, handles, parts);
  if (error == errc::bad_peer) throw std::system_error(error, "ringbell: the server's answer");
  if (error) throw sys::failure(error, "ringbell: the server's shared memory");
  parts.own = std::move(g.region);
  parts.own.close_handle();
  parts.control = std::move(socket);
  if (w.wakes_client == sys::bell_kind::eventfd) parts.own_bell = std::move(g.bell);
  parts.who = server;
  return parts;
}

[[noreturn]] void fail_to_connect(const std::string& name, const std::error_code& error) {
  std::string text = "ringbell: connecting to " + sys::describe_service(name);
  if (error == std::errc::permission_denied && error != errc::unsafe_directory)
    text +=
        ": the server listens for its own user only; connect as that user, or let it listen for all users";
  throw sys::failure(error, text);
}

/// Returns the identity of the server. Throws when another user's server listens in the place of
/// one of this user's services; nothing is sent to it.
sys::peer_identity expected_server(const std::string& name, const sys::local_socket& socket) {
  const auto server = socket.peer();
  if (!server) throw std::system_error(server.error(), "ringbell: asking who the server is");
  if (const std::error_code error = sys::check_server(name, *server))
    throw std::system_error(error, "ringbell: connecting to " + sys::describe_service(name) +
                                       ": the server is one of user " + sys::text_of(server->user) +
                                       " (process " + std::to_string(server->process) +
                                       "), not of user " + sys::text_of(sys::current_user()) +
                                       " or root");
  return *server;
}

task<detail::connection_parts> greet(loop& lp, const connect_options& options,
                                     handshake::record_kind kind, sys::local_socket socket,
                                     sys::region region, const sys::peer_identity& server) {
  greeting g;
  g.region = std::move(region);
  prepare(g, lp, options, kind, server);
  const std::error_code unsent = send_greeting(socket, g);
  if (unsent && unsent != errc::peer_closed)
    throw std::system_error(unsent, "ringbell: the greeting");
  sys::received_handles handles;
  const handshake::frame answer = co_await read_answer(socket, handles);
  if (const auto* no = std::get_if<handshake::refused>(&answer))
    throw std::system_error(no->reason, text_of(*no, kind));
  const auto* yes = std::get_if<handshake::welcome>(&answer);
  if (!yes) throw std::system_error(errc::bad_peer, "ringbell: the server's answer");
  co_return finish(std::move(socket), std::move(g), *yes, handles, server);
}

}  // namespace

task<detail::connection_parts> detail::connect_parts(loop& lp, std::string name,
                                                     connect_options options,
                                                     handshake::record_kind kind) {
  const coroutine_context context = co_await current_context();
  require_home(context, lp);
  const auto path = sys::service_path(name);
  if (!path) throw std::system_error(path.error(), "ringbell: " + sys::describe_service(name));
  if (!handshake::valid_ring_size(options.ring_bytes))
    throw std::system_error(errc::bad_ring_size,
                            "ringbell: a ring of " + std::to_string(options.ring_bytes) + " bytes");
  const clock::time_point deadline = detail::from_now(options.timeout);

  // Made once and used for the first server that accepts a connection. A server that was sent the
  // region may read it, so no other server gets the same one.
  sys::region region;
  for (std::chrono::nanoseconds pause = first_pause;; pause *= 2) {
    if (sys::closing_elsewhere() >= sys::most_closing_elsewhere)
      throw std::system_error(
          std::make_error_code(std::errc::too_many_files_open),
          "ringbell: connecting to " + *path +
              ": what servers have sent is still to be closed, and does not let itself be");
    if (!region) region = make_region(options);
    std::error_code error = sys::check_service_folder(name);
    sys::local_socket socket;
    if (!error) socket = sys::local_socket::connect(*path, error);
    if (!error) {
      try {
        const sys::peer_identity server = expected_server(name, socket);
        co_return co_await timeout(
            detail::time_left(deadline),
            greet(lp, options, kind, std::move(socket), std::move(region), server));
      } catch (const std::system_error& e) {
        // The server is about to exit, or died while this client was still in its backlog. Its
        // successor may start soon.
        if (e.code() != errc::peer_closed) throw;
        error = e.code();
      }
    } else if (error != errc::no_server && error != errc::would_block) {
      fail_to_connect(name, error);
    }
    pause = std::min(pause, error == errc::would_block ? longest_pause_in_a_crowd : longest_pause);
    // A backlog that stays full until the deadline is reported as a timeout.
    if (clock::now() + pause > deadline)
      fail_to_connect(name, error == errc::would_block ? make_error_code(errc::timed_out) : error);
    co_await sleep_for(pause);
  }
}

task<channel> connect(loop& lp, std::string name, connect_options options) {
  task<detail::connection_parts> connecting =
      detail::connect_parts(lp, std::move(name), options, handshake::record_kind::messages);
  detail::connection_parts parts = co_await std::move(connecting);
  co_return detail::start_channel(lp, std::move(parts), {}).value();
}

}  // namespace ringbell
