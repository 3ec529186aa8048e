// SPDX-License-Identifier: BSL-1.0
#include "service/server_session.hpp"

#include "service/server_shard.hpp"

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/service/observer.hpp>

#include <algorithm>
#include <string>

namespace ringbell::detail {

namespace {

// After this many frames in a row the other clients have their turn. That takes some microseconds,
// so a client that floods the server delays no other client for longer.
constexpr unsigned frames_per_turn = 16;

constexpr std::size_t first_buckets = 8;

// What a request under way takes beside its bytes: this library's objects and coroutine frames
// (some 1.5 KiB), and a short reply.
constexpr std::size_t call_memory = 2048;

std::string text_of(errc refused, const server_options& options) {
  switch (refused) {
    case errc::refused_in_flight:
      return "the server allows " + std::to_string(options.max_in_flight) +
             " requests of one client at a time";
    case errc::refused_bytes:
      return "the server keeps at most " + std::to_string(options.max_buffered_bytes) +
             " bytes for one client (max_buffered_bytes): requests under way, parts that were not read, replies that the client has not";
    default: return make_error_code(refused).message();
  }
}

}  // namespace

// -- the table of calls --

server_call* server_calls::find(std::uint32_t number) const noexcept {
  if (buckets_.empty()) return nullptr;
  server_call* c = buckets_[number & (buckets_.size() - 1)];
  while (c && c->id() != number) c = c->next;
  return c;
}

void server_calls::add(server_call& call) {
  if (size_ >= buckets_.size()) {
    server_calls larger;
    larger.buckets_.resize(std::max(first_buckets, 2 * buckets_.size()));
    for_each([&](server_call& c) { c.next = std::exchange(larger.bucket(c.id()), &c); });
    buckets_.swap(larger.buckets_);
  }
  call.next = std::exchange(bucket(call.id()), &call);
  ++size_;
}

void server_calls::remove(server_call& call) noexcept {
  if (buckets_.empty()) return;
  for (server_call** at = &bucket(call.id()); *at; at = &(*at)->next) {
    if (*at != &call) continue;
    *at = std::exchange(call.next, nullptr);
    --size_;
    return;
  }
}

server_call* server_calls::any() const noexcept {
  for (server_call* first : buckets_)
    if (first) return first;
  return nullptr;
}

// -- the session --

server_session::server_session(server_shard& of, channel ch)
    : shard_(of),
      ch_(std::move(ch)),
      peer_(ch_.peer()),
      out_(of.owner(), ch_.sender()),
      since_(loop::clock::now()) {
  out_.on_drained = [this] { close_when_done(); };
  kept_.most = of.options().max_buffered_bytes;
}

server_session::~server_session() {
  while (server_call* const call = calls_.any()) {
    calls_.remove(*call);
    call->abort();
  }
  // The session is made to end, by the end of its server or of the grace that a stop gives.
  if (shard_.observer() && connected_)
    shard_.observer()->disconnected(peer_, leaving_ != errc{} ? leaving_ : errc::closed);
  shard_.session_ended(*this);
}

task<void> server_session::run() {
  connected_ = true;
  if (shard_.observer()) shard_.observer()->connected(peer_);
  task<std::error_code> taking = take_all();
  const std::error_code why = co_await std::move(taking);
  gone_ = true;
  out_.close(errc::peer_closed);
  ch_.close();
  cancel_all(errc::peer_closed);
  if (calls_.size() != 0) co_await done_.wait();
  connected_ = false;
  if (shard_.observer()) shard_.observer()->disconnected(peer_, why);
}

/// Returns why the connection ended; success when the client closed it in order.
task<std::error_code> server_session::take_all() {
  for (unsigned taken = 1;; ++taken) {
    auto m = co_await as_result(ch_.recv());
    if (!m)
      co_return leaving_ != errc{} && m.error() == errc::closed ? make_error_code(leaving_)
                                                                : m.error();
    if (!*m) co_return std::error_code();
    try {
      if (const errc e = take(std::move(**m)); e != errc{}) co_return e;
    } catch (const std::bad_alloc&) {
      co_return std::make_error_code(std::errc::not_enough_memory);
    }
    if (refusal_) {
      task<void> refusing = send_refusal(*refusal_);
      co_await std::move(refusing);
    }
    // The client does not read what is sent to it, so nothing more is taken from it.
    if (out_.bytes() > most_to_send())
      (void)co_await as_result(out_.room_for(most_to_send()).wait());
    if (taken % frames_per_turn == 0) co_await yield();
  }
}

errc server_session::take(message m) {
  owned_message content(std::move(m));
  const auto decoded = service_frame::decode(content.bytes(), true);
  if (!decoded) return errc::bad_peer;
  const service_frame::header h = decoded->head;
  auto p = access::make<payload>(std::move(content), *decoded);
  server_call* const call = calls_.find(h.call);
  if (h.kind == service_frame::kind::request) return call ? errc::bad_peer : begin(std::move(p), h);
  if (!call) return errc{};  // the call was answered or refused meanwhile
  bool sound = true;
  switch (h.kind) {
    case service_frame::kind::part:
      if (call->closed() != errc{}) break;  // no handler will read it
      if ((h.flags & service_frame::more) && call->receiving_parts() &&
          !call->has_room(call_flow::memory_of_part(p.size())))
        call->cancel(errc::refused_bytes);
      else if (h.flags & service_frame::more)
        sound = call->part_arrived(std::move(p));
      else
        call->last_part_arrived();
      break;
    case service_frame::kind::credit:
      sound = call->closed() != errc{} || call->credit_arrived(h.credit);
      break;
    case service_frame::kind::cancel: call->cancel(errc::cancelled); break;
    default: sound = false;
  }
  return sound ? errc{} : errc::bad_peer;
}

errc server_session::admit(const payload& content, const service_frame::header& h) const noexcept {
  const server_options& options = shard_.options();
  if (leaving_ != errc{}) return leaving_;
  if (calls_.size() >= options.max_in_flight) return errc::refused_in_flight;
  if (kept_.used != 0 && !kept_.has_room(memory_of(content, h))) return errc::refused_bytes;
  if (h.method > service_frame::method_statistics || h.method == service_frame::reserved_methods)
    return errc::no_such_method;
  return errc{};
}

std::size_t server_session::memory_of(const payload& content,
                                      const service_frame::header& h) const noexcept {
  const std::size_t rows = h.method == service_frame::method_statistics
                               ? shard_.clients() * sizeof(client_statistics)
                               : 0;
  return call_memory + content.size() + content.metadata().size() + rows;
}

/// How many bytes may wait to be sent while requests are taken. It is a quarter, so that the reply
/// to one more request has room unless it is very long.
std::size_t server_session::most_to_send() const noexcept { return kept_.most / 4; }

reply server_session::too_many_bytes() const {
  return reply::failure(errc::refused_bytes, text_of(errc::refused_bytes, shard_.options()));
}

errc server_session::begin(payload content, const service_frame::header& h) {
  errc refused = admit(content, h);
  const auto deadline = service_frame::received_deadline(h.deadline);
  if (refused == errc{} && deadline && *deadline <= loop::clock::now()) refused = errc::timed_out;
  if (refused != errc{}) {
    ++refused_;
    refusal_ = {h.call, refused};
    if (shard_.observer()) shard_.observer()->refused(peer_, refused);
    return errc{};
  }
  ++requests_;
  shard_.is_active(*this);
  const std::size_t memory = memory_of(content, h);
  auto* const call =
      new server_call(*this, shard_.owner(), shard_.observer(), std::move(content), h, deadline);
  call->count_in(kept_);
  call->keep(memory);
  try {
    calls_.add(*call);
    const bool own_method = h.method >= service_frame::reserved_methods;
    call->start(own_method ? shard_.own_methods() : shard_.handler());
  } catch (...) {
    // Memory is lacking, and the handler has not begun.
    calls_.remove(*call);
    call->abort();
    throw;
  }
  return errc{};
}

/// Sends a refusal. The caller waits for it, so a client that does not read its replies gets no
/// further request taken, and refusals take no memory.
task<void> server_session::send_refusal(refusal what) {
  refusal_.reset();
  const reply r = reply::failure(what.why, text_of(what.why, shard_.options()));
  outgoing_frame f;
  f.head.kind = service_frame::kind::reply;
  f.head.flags = service_frame::error;
  f.head.call = what.call;
  f.payload = access::content_of(r);
  (void)co_await send_frame_awaiter(out_, f);
}

void server_session::call_ended(server_call& call, bool failed) noexcept {
  call.count_no_more();
  shard_.is_active(*this);
  if (failed) ++failed_;
  calls_.remove(call);
  close_when_done();
  if (gone_ && calls_.size() == 0) done_.set();
}

void server_session::say_goodbye(errc why) noexcept {
  if (leaving_ != errc{} || gone_) return;
  leaving_ = why;
  send_goaway();
  close_when_done();
}

void server_session::close_when_done() noexcept {
  if (leaving_ == errc{} || gone_ || calls_.size() != 0 || out_.waiting()) return;
  // The second goodbye tells the client that what it has sent since the first was not looked at, so
  // it may send that to another server.
  if (!std::exchange(last_word_, true)) send_goaway();
  if (!out_.waiting()) ch_.close();
}

void server_session::send_goaway() noexcept {
  service_frame::header h;
  h.kind = service_frame::kind::goaway;
  h.reason = leaving_;
  out_.send_small(h);
}

void server_session::cancel_all(errc why) noexcept {
  calls_.for_each([&](server_call& call) { call.cancel(why); });
}

client_statistics server_session::statistics() noexcept {
  client_statistics s;
  const connection_parts& parts = access::impl_of(ch_)->parts();
  s.process = static_cast<std::uint64_t>(peer_.process);
  s.user = sys::number_of(peer_.user);
  s.connected_ns =
      static_cast<std::uint64_t>(std::chrono::nanoseconds(loop::clock::now() - since_).count());
  s.requests = requests_;
  s.failed = failed_;
  s.refused = refused_;
  s.in_flight = calls_.size();
  s.bytes_in_flight = kept_.used;
  s.ring_to_server = parts.peer_ring_bytes;
  s.ring_to_client = parts.own_ring_bytes;
  s.depth_to_server = std::min(access::impl_of(ch_)->unread_bytes(), s.ring_to_server);
  s.depth_to_client = std::min(access::impl_of(ch_)->unconsumed_bytes(), s.ring_to_client);
  s.channel = ch_.statistics();
  return s;
}

}  // namespace ringbell::detail
