// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/coro/detail/timer_heap.hpp>
#include <ringbell/detail/intrusive_ptr.hpp>
#include <ringbell/service/call_error.hpp>
#include <ringbell/service/client_options.hpp>
#include <ringbell/service/detail/call_flow.hpp>
#include <ringbell/service/observer.hpp>

#include <concepts>
#include <cstdint>
#include <exception>
#include <memory>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

namespace ringbell::detail {

class client_impl;
class client_connection;

void add_reference(client_impl& impl) noexcept;
void release_reference(client_impl& impl) noexcept;

/// A call on the client's side: from its submission until its reply has come, or until it is
/// certain that none will come.
class client_call : public call_flow, public pending_frame, private timer {
public:
  /// Whether the reply or an error has come.
  bool over() const noexcept { return stage_ == stage::over; }
  std::error_code error() const noexcept { return error_; }
  /// Returns the reply, or throws the error.
  payload take_reply() {
    rethrow();
    return hand_over();
  }
  result<payload> take_result() noexcept {
    if (thrown_) return errc::handler_failed;
    if (error_) return error_;
    return hand_over();
  }

protected:
  /// `streaming` says that parts of the request will follow and that parts of the reply are read
  /// one by one.
  client_call(intrusive_ptr<client_impl> of, std::uint32_t method, const call_options& options,
              bool streaming) noexcept;
  ~client_call() override {
    cancel(errc::cancelled);
    count_no_more();
  }
  client_call(const client_call&) = delete;
  client_call& operator=(const client_call&) = delete;

  /// Sets what is sent. It must stay valid until the call is over.
  void set_request(const outgoing& request) noexcept { request_ = &request; }
  void set_metadata(std::string_view metadata) noexcept { metadata_ = metadata; }
  /// Sends the request now, or once there is a connection and space.
  void submit() noexcept;
  /// Gives the call up with the error `why`: the server is told, and a reply that still comes is
  /// dropped. Has no effect when the call is over. Does not call `ended`.
  void cancel(errc why) noexcept;
  /// Called when the call is over, unless cancel() ended it.
  virtual void ended() noexcept = 0;
  /// Ends the parts of the request.
  void finish_request() noexcept;
  bool streaming() const noexcept { return streaming_; }

private:
  friend class client_impl;
  friend class client_connection;

  /// How far the call has come.
  ///
  ///   stage      the server                                          goes on to
  ///   waiting    has no request: it waits for a connection or space   at_server, answered, over
  ///   at_server  has the request, and owes an end of the call         answered, over
  ///   answered   has ended the call, with a reply or an error         over
  ///   over       cannot change anything any more
  ///
  /// A call that is over while the server owes its end leaves its number in use, because that end
  /// may still come.
  enum class stage : std::uint8_t { waiting, at_server, answered, over };

  static void expired(timer& t) noexcept;
  void sent(errc e, std::exception_ptr thrown) noexcept override;
  void rethrow();
  payload hand_over() noexcept {
    keep_no_more(std::exchange(reply_bytes_, 0));
    return std::move(reply_);
  }
  bool keep_reply(std::size_t bytes) noexcept;
  bool too_much();
  std::string advice() const;
  // Called by client_impl and client_connection.
  void begin() noexcept;
  void send_on(client_connection& on);
  bool reply_arrived(payload p, const service_frame::header& h);
  bool error_arrived(const payload& p);
  errc join(const payload& p);
  void fail(std::error_code e) noexcept;
  observed_call seen() const noexcept;
  void forget() noexcept;
  void tell_begun() noexcept;

  intrusive_ptr<client_impl> impl_;
  client_connection* on_ = nullptr;  // set while the call has a number there
  std::uint32_t method_;
  const outgoing* request_ = nullptr;
  std::string_view metadata_;
  loop::clock::time_point deadline_{};
  loop::clock::time_point begun_{};
  payload reply_;
  std::size_t reply_bytes_ = 0;  // bytes kept for the reply or its joined parts
  std::error_code error_;
  std::string text_;
  std::exception_ptr thrown_;
  std::unique_ptr<std::vector<std::byte>> joined_;  // parts of a reply that is not read as a stream
  bool streaming_;
  bool failed_there_ = false;   // the error is the server's
  bool request_ended_ = false;  // the request has no further parts
  stage stage_ = stage::waiting;
};

/// A call with one request and one reply.
class call_wait : public wait_node, public client_call {
public:
  bool await_ready() const noexcept { return false; }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    if (const errc e = admits(coroutine_context_of(h)); e != errc{}) {
      cancel(e);
      return false;
    }
    submit();
    return !over() && arm(h);
  }
  result<payload> take_result() noexcept {
    disarm();
    cancel(errc::cancelled);
    return client_call::take_result();
  }
  payload await_resume() {
    disarm();
    cancel(errc::cancelled);
    return take_reply();
  }

protected:
  call_wait(intrusive_ptr<client_impl> of, std::uint32_t method,
            const call_options& options) noexcept
      : client_call(std::move(of), method, options, false) {}

private:
  void ended() noexcept override {
    if (waiting) complete();
  }
};

template <std::derived_from<outgoing> Request>
class call_awaiter final : public call_wait {
public:
  call_awaiter(intrusive_ptr<client_impl> of, std::uint32_t method, Request request,
               call_options options) noexcept
      : call_wait(std::move(of), method, options), value_(std::move(request)) {
    set_request(value_);
  }
  // Here, not only in the base: the request must still exist when the call is given up.
  ~call_awaiter() override { cancel(errc::cancelled); }

private:
  Request value_;
};

template <class Request>
using call_awaitable = awaitable<call_awaiter<Request>, intrusive_ptr<client_impl>, std::uint32_t,
                                 Request, call_options>;

}  // namespace ringbell::detail
