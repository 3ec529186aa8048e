// SPDX-License-Identifier: BSL-1.0
#include <ringbell/coro/sleep.hpp>
#include <ringbell/service/call_stream.hpp>
#include <ringbell/service/observer.hpp>
#include "service/client_impl.hpp"

#include <algorithm>
#include <new>
#include <system_error>

namespace ringbell::detail {

namespace {

using clock = loop::clock;

// The server's side cuts the text of an error to this length. Another implementation may send any
// length.
constexpr std::size_t longest_text = 4096;

std::error_code code_of(const service_frame::failure& f) noexcept {
  using service_frame::code_domain;
  if (f.code == 0) return errc::handler_failed;  // an error that says "success"
  switch (f.domain) {
    case code_domain::service: return service_frame::errc_of(f.code);
    case code_domain::system: return {f.code, std::generic_category()};
    case code_domain::handler: break;
  }
  return {f.code, handler_category()};
}

}  // namespace

client_call::client_call(intrusive_ptr<client_impl> of, std::uint32_t method,
                         const call_options& options, bool streaming) noexcept
    : call_flow(service_frame::kind::part, of && !of->closed() ? &of->owner() : nullptr),
      timer(&expired),
      impl_(std::move(of)),
      method_(method),
      metadata_(options.metadata),
      streaming_(streaming) {
  more_will_come();
  if (impl_) count_in(impl_->kept());
  if (options.timeout != std::chrono::nanoseconds(0)) deadline_ = from_now(options.timeout);
}

void client_call::submit() noexcept {
  if (!impl_ || impl_->closed()) return fail(errc::closed);
  if (metadata_.size() > service_frame::max_metadata) return fail(errc::message_too_large);
  try {
    if (deadline_ != clock::time_point()) loop_access::add_timer(impl_->owner(), *this, deadline_);
  } catch (const std::bad_alloc&) {
    return fail(std::make_error_code(std::errc::not_enough_memory));
  }
  if (impl_->options().observer) begun_ = clock::now();
  begin();
}

/// Sends the request, unless it has to wait for a connection.
void client_call::begin() noexcept {
  try {
    std::error_code error;
    client_connection* const on = impl_->connection_for(*this, error);
    if (error) return fail(error);
    if (on) send_on(*on);
  } catch (const std::bad_alloc&) {
    fail(std::make_error_code(std::errc::not_enough_memory));
  } catch (...) {
    sent(errc::handler_failed, std::current_exception());  // the codec threw
  }
}

observed_call client_call::seen() const noexcept {
  observed_call now;
  now.method = method_;
  now.number = id();
  return now;
}

void client_call::tell_begun() noexcept {
  if (impl_->options().observer) impl_->options().observer->call_began(seen());
}

void client_call::expired(timer& t) noexcept {
  auto& self = static_cast<client_call&>(t);
  if (self.over()) return;
  self.cancel(errc::timed_out);
  self.ended();
}

void client_call::send_on(client_connection& on) {
  open(on.out, on.calls.add(*this), true);
  on_ = &on;
  tell_begun();
  frame.head = {};
  frame.head.kind = service_frame::kind::request;
  frame.head.flags = streaming_ ? service_frame::more : std::uint8_t{0};
  frame.head.call = id();
  frame.head.method = method_;
  if (deadline_ != clock::time_point())
    frame.head.deadline = service_frame::sent_deadline(deadline_);
  frame.head.metadata = metadata_.size();
  frame.metadata = metadata_;
  frame.payload = request_;
  const errc e = on.out.try_send(frame);
  if (e == errc::would_block)
    on.out.push(*this);
  else
    sent(e, nullptr);
  begun();
}

void client_call::sent(errc e, std::exception_ptr thrown) noexcept {
  thrown_ = std::move(thrown);
  // The server receives no more. What it has sent before tells why, and then all calls end with
  // that reason.
  if (e == errc::peer_closed) return;
  if (e != errc{}) return fail(e);
  stage_ = stage::at_server;
  if (request_ended_) finish_request();
}

void client_call::finish_request() noexcept {
  request_ended_ = true;
  if (stage_ == stage::at_server && streaming_) finish_sending();
}

bool client_call::reply_arrived(payload p, const service_frame::header& h) {
  if (linked_frame()) {
    if (out()->withdraw(*this)) return false;  // a reply to a request that was not sent
    sent(errc{}, nullptr);
  }
  if (h.flags & service_frame::more) {
    if (receiving_parts() && streaming_ && !may_keep(memory_of_part(p.size()))) return too_much();
    if (!part_arrived(std::move(p))) return false;
    if (streaming_) return true;
    const errc e = join(take_part());
    if (e != errc{}) {
      cancel(e);
      ended();
    }
    return true;
  }
  stage_ = stage::answered;
  if (h.flags & service_frame::error) {
    failed_there_ = true;
    if (!error_arrived(p)) return false;
  } else if (joined_) {
    if (const errc e = join(p); e != errc{}) return fail(e), true;
    const std::string_view metadata = p.metadata();
    const auto front = as_bytes(metadata);
    joined_->insert(joined_->begin(), front.begin(), front.end());
    owned_message whole{std::span<const std::byte>(*joined_)};
    service_frame::frame f;
    f.metadata = whole.bytes().first(metadata.size());
    f.payload = whole.bytes().subspan(metadata.size());
    reply_ = access::make<payload>(std::move(whole), f);
  } else if (keep_reply(p.size() + p.metadata().size())) {
    reply_ = std::move(p);
  } else {
    return too_much();
  }
  forget();
  last_part_arrived();
  ended();
  return true;
}

bool client_call::keep_reply(std::size_t bytes) noexcept {
  if (!may_keep(bytes)) return false;
  keep(bytes);
  reply_bytes_ += bytes;
  return true;
}

/// Fails the call, because more has come than this client may keep together with what was not taken
/// yet. The connection goes on.
bool client_call::too_much() {
  if (stage_ == stage::answered) return fail(errc::refused_bytes), true;
  cancel(errc::refused_bytes);
  ended();
  return true;
}

bool client_call::error_arrived(const payload& p) {
  const auto failure = service_frame::decode_failure(p.bytes());
  if (!failure) return failed_there_ = false;
  error_ = code_of(*failure);
  text_ = failure->text.substr(0, longest_text);
  return true;
}

errc client_call::join(const payload& p) {
  if (!joined_) joined_ = std::make_unique<std::vector<std::byte>>();
  if (joined_->size() + p.size() > impl_->options().connection.max_message)
    return errc::message_too_large;
  if (!keep_reply(p.size())) return errc::refused_bytes;
  joined_->insert(joined_->end(), p.bytes().begin(), p.bytes().end());
  return errc{};
}

/// Returns what the message of the error itself does not say.
std::string client_call::advice() const {
  if (!impl_) return {};
  if (error_ == errc::bad_peer)
    return '\'' + impl_->name() +
           "' does not answer as a service does: a ringbell::server, or a bare listener?";
  if (error_ != errc::message_too_large) return {};
  return "a request may have " + std::to_string(impl_->max_message()) +
         " bytes here, its metadata " + std::to_string(service_frame::max_metadata) +
         ", a reply with its parts joined " +
         std::to_string(impl_->options().connection.max_message);
}

void client_call::rethrow() {
  if (thrown_) std::rethrow_exception(std::exchange(thrown_, nullptr));
  if (!error_) return;
  if (failed_there_) throw call_error(error_, text_);
  const std::string text = advice();
  if (text.empty()) throw std::system_error(error_);
  throw std::system_error(error_, "ringbell: " + text);
}

void client_call::fail(std::error_code e) noexcept {
  if (over()) return;
  error_ = e;
  close(static_cast<errc>(
      same_category(e.category(), category()) ? e.value() : static_cast<int>(errc::closed)));
  forget();
  ended();
}

void client_call::cancel(errc why) noexcept {
  if (over()) return;
  error_ = why;
  close(why);
  if (linked_frame()) {
    if (!out())
      pending_frame::unlink();  // the call waits for a connection
    else if (!out()->withdraw(*this))
      stage_ = stage::at_server;
  }
  if (out() && stage_ == stage::at_server) {
    service_frame::header cancel;
    cancel.kind = service_frame::kind::cancel;
    cancel.call = id();
    out()->send_small(cancel);
  }
  forget();
}

/// Gives the call's number back. Whatever still comes for it is dropped.
void client_call::forget() noexcept {
  const bool owed = std::exchange(stage_, stage::over) == stage::at_server;
  close_sending();
  lose_outbox();
  if (impl_ && impl_->options().observer && begun_ != clock::time_point()) {
    if (!on_) tell_begun();
    observed_call now = seen();
    now.duration = clock::now() - begun_;
    now.reply_bytes = reply_.size();
    now.error = error_;
    impl_->options().observer->call_ended(now);
  }
  if (client_connection* const on = std::exchange(on_, nullptr)) on->forget(*this, owed);
}

// -- streams --

streamed_call::streamed_call(intrusive_ptr<client_impl> of, std::uint32_t method,
                             std::span<const std::byte> request, const call_options& options)
    : client_call(std::move(of), method, options, true),
      request_(request.begin(), request.end()),
      metadata_(options.metadata),
      borrowed_(request_) {
  set_request(borrowed_);
  set_metadata(metadata_);
}

streamed_call::~streamed_call() {
  cancel(errc::cancelled);
  if (waiting_) waiting_->complete();
}

void streamed_call::ended() noexcept {
  if (waiting_) waiting_->complete();
}

}  // namespace ringbell::detail
