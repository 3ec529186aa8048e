// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/service/detail/client_call.hpp>

#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <type_traits>
#include <utility>

namespace ringbell {

namespace detail {
class reply_awaiter;

/// A call with parts. It lives in memory of its own and keeps a copy of its request.
class streamed_call final : public client_call {
public:
  streamed_call(intrusive_ptr<client_impl> of, std::uint32_t method,
                std::span<const std::byte> request, const call_options& options);
  ~streamed_call() override;
  using client_call::finish_request;
  using client_call::submit;

private:
  friend class reply_awaiter;
  void ended() noexcept override;
  std::vector<std::byte> request_;
  std::string metadata_;
  borrowed_bytes borrowed_;
  wait_slot<reply_awaiter> waiting_;
};

/// Waits for the reply that ends a streamed call.
class reply_awaiter final : public slot_wait<streamed_call> {
public:
  explicit reply_awaiter(streamed_call* of) noexcept : slot_wait(of) {}
  ~reply_awaiter() { leave(); }
  bool await_ready() noexcept {
    if (!of_) outcome_ = errc::closed;
    if (of_ && of_->waiting_) outcome_ = errc::busy;
    return outcome_ != errc{} || of_->over();
  }
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) {
    outcome_ = of_->admits(coroutine_context_of(h));
    if (outcome_ != errc{} || !arm(h)) return false;
    of_->waiting_.put(*this);
    return true;
  }
  result<payload> take_result() noexcept {
    if (const errc e = settle(); e != errc{}) return e;
    return of_->take_result();
  }
  payload await_resume() {
    if (const errc e = settle(); e != errc{}) throw std::system_error(e);
    return of_->take_reply();
  }
  using wait_node::complete;

private:
  errc settle() noexcept {
    disarm();
    leave();
    if (outcome_ != errc{}) return outcome_;
    if (!of_) return errc::closed;
    return of_->over() ? errc{} : errc::cancelled;
  }
  void leave() noexcept {
    if (of_) of_->waiting_.remove(*this);
  }
  errc outcome_{};
};
}  // namespace detail

/// A call with parts in either direction, made by `client::open`. Write parts of the request, then
/// call `finish()`; read parts of the reply until there are no more, then take the `reply()`. Both
/// may be done in any order, also at the same time by two coroutines.
///
///     ringbell::call_stream rows = kv.open(scan, "user/");
///     rows.finish();
///     while (auto row = co_await rows.read()) use(row->text());
///     co_await rows.reply();
///
/// Credit bounds the parts: a side that reads slowly stops the writer at the other end, and nothing
/// else on the connection.
///
/// Errors: as `client::call`.
/// Thread-safety: the loop's thread. One read, one write and one reply may be pending at a time;
/// another one fails with `errc::busy`.
/// Cancellation: a stop ends the wait with `errc::cancelled`; the call goes on. Destroying the
/// stream cancels the call, at the server as well.
/// Lifetime: a stream keeps the connection alive.
class call_stream {
public:
  using read_awaitable = detail::awaitable<detail::read_awaiter, detail::call_flow*>;
  template <class T>
  using write_awaitable = detail::write_awaitable<detail::borrowed<T>>;

  explicit call_stream(std::unique_ptr<detail::streamed_call> call) noexcept
      : call_(std::move(call)) {}
  call_stream(call_stream&&) noexcept = default;
  call_stream& operator=(call_stream&&) noexcept = default;

  /// Sends a part of the request. Waits for credit and space.
  /// Errors: see the class. `errc::closed` after `finish`, and when the reply has come.
  /// Lifetime: the bytes must stay valid until the part is sent. The operation keeps a temporary
  /// that owns its bytes.
  write_awaitable<std::span<const std::byte>> write(std::span<const std::byte> part) noexcept {
    return write_awaitable<std::span<const std::byte>>(call_.get(), detail::borrowed_bytes(part));
  }
  write_awaitable<std::span<const std::byte>> write(std::string_view part) noexcept {
    return write(detail::as_bytes(part));
  }
  template <detail::owns_bytes Owner>
  auto write(Owner&& temporary) {
    using content = detail::owned_bytes<std::remove_const_t<Owner>>;
    return detail::write_awaitable<content>(call_.get(), content(std::forward<Owner>(temporary)));
  }
  template <detail::encodable T>
  write_awaitable<T> write_value(const T& part) noexcept {
    return write_awaitable<T>(call_.get(), detail::borrowed<T>(part));
  }
  template <detail::temporary_value T>
  auto write_value(T&& temporary) {
    using content = detail::owned<std::remove_const_t<T>>;
    return detail::write_awaitable<content>(call_.get(), content(std::forward<T>(temporary)));
  }
  /// Ends the parts of the request. Further calls have no effect.
  void finish() noexcept {
    if (call_) call_->finish_request();
  }

  /// Waits for the next part of the reply. The result is a `std::optional<payload>`; it is empty
  /// when there are no more.
  read_awaitable read() noexcept { return read_awaitable(call_.get()); }
  /// Waits for the reply that ends the call. The result is a `payload`; it can be taken once.
  /// Errors: throws what the service answered, and see the class.
  detail::awaitable<detail::reply_awaiter, detail::streamed_call*> reply() noexcept {
    return detail::awaitable<detail::reply_awaiter, detail::streamed_call*>(call_.get());
  }

private:
  std::unique_ptr<detail::streamed_call> call_;
};

}  // namespace ringbell
