// SPDX-License-Identifier: BSL-1.0
#include "service/server_call.hpp"

#include "service/server_session.hpp"

#include <ringbell/service/observer.hpp>

#include <algorithm>

namespace ringbell::detail {

server_call::server_call(server_session& of, loop& lp, server_observer* observer, payload content,
                         const service_frame::header& h,
                         std::optional<timer::time_point> deadline) noexcept
    : call_flow(service_frame::kind::reply, &lp),
      timer(&expired),
      session_(&of),
      loop_(lp),
      observer_(observer),
      peer_(of.peer()),
      method_(h.method),
      content_(std::move(content)),
      deadline_(deadline) {
  open(of.out(), h.call, (h.flags & service_frame::more) != 0);
}

void server_call::start(const request_handler& handler) {
  if (observer_) {
    begun_ = loop::clock::now();
    observed_call seen;
    seen.method = method_;
    seen.number = id();
    seen.request_bytes = content_.size();
    observer_->call_began(peer_, seen);
  }
  if (deadline_) loop_access::add_timer(loop_, *this, *deadline_);
  task<void> begun = run(*this, handler);
  running_ = &task_access::release(begun).promise();
  running_->set_owner(*this);
  running_->set_context(coroutine_context(&loop_, stop_.get_token()));
  running_->frame().resume();
}

task<void> server_call::run(server_call& call, const request_handler& handler) {
  std::optional<reply> r;
  std::exception_ptr failed;
  try {
    task<reply> answering = handler(access::make<request>(call));
    r.emplace(co_await std::move(answering));
  } catch (...) {
    failed = std::current_exception();
  }
  if (!r) r.emplace(reply::failure(std::exchange(failed, nullptr)));
  // The deadline has passed, and the handler answered that it was cancelled. The client may not
  // have noticed its deadline yet, and has not cancelled: it is told that the call timed out.
  if (call.cancelled_ == errc::timed_out && r->failed() && r->code() == errc::cancelled)
    r.emplace(reply::failure(errc::timed_out, ""));
  // The client does not use the reply, but it waits for the end of the call before it uses the
  // number again.
  if (call.cancelled_ != errc{} && call.cancelled_ != errc::timed_out)
    r.emplace(reply::failure(call.cancelled_, ""));
  task<void> answering = call.answer(std::move(*r));
  co_await std::move(answering);
}

outgoing_frame server_call::frame_of(const reply& r) const {
  outgoing_frame f;
  f.head.kind = service_frame::kind::reply;
  f.head.flags = r.failed() ? service_frame::error : std::uint8_t{0};
  f.head.call = id();
  f.head.metadata = r.metadata().size();
  f.metadata = r.metadata();
  f.payload = access::content_of(r);
  return f;
}

/// Counts a reply in what is kept for the client while the reply waits to be sent.
class server_call::keeping {
public:
  keeping(server_call& call, std::size_t bytes) noexcept : call_(call), bytes_(bytes) {
    call.keep(bytes);
  }
  keeping(const keeping&) = delete;
  keeping& operator=(const keeping&) = delete;
  ~keeping() { call_.keep_no_more(bytes_); }

private:
  server_call& call_;
  std::size_t bytes_;
};

/// Sends the reply, or the error for a reply that cannot be sent.
task<void> server_call::answer(reply r) {
  bool short_error = false;
  for (int attempt = 0; attempt < 3; ++attempt) {
    errc e{};
    std::exception_ptr thrown;
    if (!out()) co_return;
    try {
      const outgoing_frame frame = frame_of(r);
      e = out()->try_send(frame);
      if (e == errc::would_block) {
        const std::size_t bytes = short_error ? 0 : access::size_of(r) + r.metadata().size();
        if (may_keep(bytes)) {
          const keeping here(*this, bytes);
          e = co_await send_frame_awaiter(*out(), frame);
        } else {
          e = errc::refused_bytes;
        }
      }
    } catch (...) {
      thrown = std::current_exception();
    }
    if (e == errc{} && !thrown) break;
    if (e == errc::peer_closed || e == errc::closed || e == errc::bad_peer) break;
    // The reply is too long, its codec threw, or too much waits for the client: tell the client.
    short_error = !thrown;
    if (thrown)
      r = reply::failure(std::exchange(thrown, nullptr));
    else
      r = e == errc::refused_bytes && session_
              ? session_->too_many_bytes()
              : reply::failure(e, "the reply is longer than the " +
                                      std::to_string(out() ? out()->max_message() : 0) +
                                      " bytes that the client takes");
  }
  error_ = r.failed() ? r.code() : std::error_code();
  reply_bytes_ = access::size_of(r);
}

void server_call::tell_observer() const noexcept {
  if (!observer_) return;
  observed_call seen;
  seen.method = method_;
  seen.number = id();
  seen.request_bytes = content_.size();
  seen.reply_bytes = reply_bytes_;
  seen.duration = loop::clock::now() - begun_;
  seen.error = error_;
  observer_->call_ended(peer_, seen);
}

void server_call::ended(task_promise<void>& frame) noexcept {
  running_ = nullptr;
  std::exception_ptr error = frame.take_error();
  task_list::destroy(frame);
  close(errc::closed);
  server_session* const session = std::exchange(session_, nullptr);
  lose_outbox();
  if (cancelled_ != errc{}) error_ = cancelled_;
  if (error) error_ = errc::handler_failed;  // for lack of memory not even an error could be sent
  if (session) {
    if (error) session->close();  // the client would wait for ever
    tell_observer();
    session->call_ended(*this, static_cast<bool>(error_));
  }
  release_reference(*this);
}

void server_call::cancel(errc why) noexcept {
  if (!running_ || cancelled_ == why || (cancelled_ != errc{} && cancelled_ != errc::timed_out))
    return;
  cancelled_ = why;
  if (why != errc::timed_out) close(why);
  stop_.request_stop();
}

void server_call::abort() noexcept {
  error_ = errc::closed;
  if (std::exchange(session_, nullptr) && running_) tell_observer();
  count_no_more();
  close(errc::closed);
  if (running_) {
    stop_.request_stop();
    task_list::destroy(*std::exchange(running_, nullptr));
  }
  lose_outbox();
  release_reference(*this);
}

}  // namespace ringbell::detail

namespace ringbell {

const detail::server_session* detail::session_of(const request& r) noexcept {
  return r.call_ ? r.call_->session() : nullptr;
}

// A request that was moved from returns defaults.
std::uint32_t request::method() const noexcept { return call_ ? call_->method() : 0; }
const payload& request::content() const noexcept {
  static const payload none;
  return call_ ? call_->content() : none;
}
detail::call_flow* request::impl() noexcept { return call_.get(); }
const sys::peer_identity& request::peer() const noexcept {
  static const sys::peer_identity nobody;
  return call_ ? call_->peer() : nobody;
}
std::optional<std::chrono::steady_clock::time_point> request::deadline() const noexcept {
  return call_ ? call_->deadline() : std::nullopt;
}
bool request::stop_requested() const noexcept { return !call_ || call_->stop_requested(); }

}  // namespace ringbell
