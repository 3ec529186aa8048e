// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/connect_options.hpp>
#include <ringbell/channel/detail/stream_input.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/detail/access.hpp>
#include <ringbell/loop/loop.hpp>

#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ringbell {

namespace detail {

/// Waits for bytes of a stream.
class stream_read_wait : public receive_wait {
public:
  template <class Promise>
  bool await_suspend(std::coroutine_handle<Promise> h) noexcept {
    if (!receive_wait::await_suspend(h)) return false;
    if (!in_->empty()) complete();  // it suspended only to let others have their turn
    return true;
  }

protected:
  stream_read_wait(channel_impl* impl, stream_input* in) noexcept : receive_wait(impl), in_(in) {}
  /// Ends the await: `outcome_` is decided.
  void end() noexcept {
    // The loop saw something to receive, so if nothing is there now the peer has changed it.
    if (undecided()) outcome_ = errc::bad_peer;
    of_ = nullptr;  // the channel may go before this awaiter does
  }

  stream_input* in_;
};

class read_some_awaiter final : public stream_read_wait {
public:
  read_some_awaiter(channel_impl* impl, stream_input* in, std::span<std::byte> buffer) noexcept
      : stream_read_wait(impl, in), buffer_(buffer) {}
  bool await_ready() noexcept {
    if (of_ && buffer_.empty())
      outcome_ = errc{};
    else if (may_try())
      take();
    return !undecided();
  }
  result<std::size_t> take_result() noexcept {
    if (may_take()) take();
    end();
    if (outcome_ == errc{} || outcome_ == errc::end_of_stream) return size_;
    return outcome_;
  }
  std::size_t await_resume() { return take_result().value(); }

private:
  void take() noexcept {
    outcome_ = in_->read(*of_, buffer_, size_);
    of_->ring_if_due();
  }
  std::span<std::byte> buffer_;
  std::size_t size_ = 0;
};

class read_view_awaiter final : public stream_read_wait {
public:
  read_view_awaiter(channel_impl* impl, stream_input* in) noexcept : stream_read_wait(impl, in) {}
  bool await_ready() noexcept {
    if (may_try()) take();
    return !undecided();
  }
  result<std::span<const std::byte>> take_result() noexcept {
    if (may_take()) take();
    end();
    if (outcome_ == errc{}) return in_->bytes();
    if (outcome_ == errc::end_of_stream) return std::span<const std::byte>();
    return outcome_;
  }
  std::span<const std::byte> await_resume() { return take_result().value(); }

private:
  void take() noexcept {
    outcome_ = in_->fill(*of_);
    of_->ring_if_due();
  }
};

/// Waits for space for bytes of a stream, for some of them or for all.
class write_bytes_wait : public send_wait {
public:
  bool await_ready() noexcept {
    if (of_ && rest_.empty()) {
      outcome_ = errc{};
    } else if (may_try()) {
      outcome_ = attempt();
      of_->ring_if_due();
    }
    return !undecided();
  }

protected:
  write_bytes_wait(channel_impl* impl, std::span<const std::byte> bytes, bool all) noexcept
      : send_wait(impl, impl ? impl->ring().stream_unit(bytes.size()) : 0),
        rest_(bytes),
        all_(all) {}
  ~write_bytes_wait() = default;

  std::size_t written_ = 0;

private:
  errc attempt() noexcept final;
  std::span<const std::byte> rest_;
  bool all_;
};

class write_some_awaiter final : public write_bytes_wait {
public:
  write_some_awaiter(channel_impl* impl, std::span<const std::byte> bytes) noexcept
      : write_bytes_wait(impl, bytes, false) {}
  result<std::size_t> take_result() noexcept {
    if (const errc e = finish(); e != errc{}) return e;
    return written_;
  }
  std::size_t await_resume() { return take_result().value(); }
};

class write_all_awaiter final : public write_bytes_wait {
public:
  write_all_awaiter(channel_impl* impl, std::span<const std::byte> bytes) noexcept
      : write_bytes_wait(impl, bytes, true) {}
  result<void> take_result() noexcept {
    const errc e = finish();
    return e == errc{} ? result<void>() : result<void>(e);
  }
  void await_resume() { take_result().value(); }
};

}  // namespace detail

/// Bytes in both directions, without messages: what a socket gives to a protocol that has a format
/// of its own. It is a channel whose records have no meaning.
///
/// Thread-safety: the loop's thread. One read and one write may be pending at a time; a second one
/// fails with `errc::busy`. On another loop than its own, an operation that has to wait ends with
/// `errc::wrong_loop`.
/// Cancellation: a stop ends a pending operation with `errc::cancelled`. Nothing was read or
/// written then, but for `read_exactly` and `write_all`.
/// Lifetime: destruction closes the stream, after what was written.
class stream {
public:
  using read_some_awaitable = detail::awaitable<detail::read_some_awaiter, detail::channel_impl*,
                                                detail::stream_input*, std::span<std::byte>>;
  using read_view_awaitable =
      detail::awaitable<detail::read_view_awaiter, detail::channel_impl*, detail::stream_input*>;
  using write_some_awaitable = detail::awaitable<detail::write_some_awaiter, detail::channel_impl*,
                                                 std::span<const std::byte>>;

  using write_all_awaitable = detail::awaitable<detail::write_all_awaiter, detail::channel_impl*,
                                                std::span<const std::byte>>;

  stream() noexcept = default;
  /// Makes a stream of a channel. The peer has to do the same; a peer that sends a message without
  /// bytes breaks the stream.
  /// Errors: throws `std::bad_alloc`.
  explicit stream(channel through)
      : channel_(std::move(through)), in_(std::make_unique<detail::stream_input>()) {}
  explicit operator bool() const noexcept { return static_cast<bool>(channel_); }

  /// Waits for bytes, and copies as many as there are and fit the buffer. The result is their
  /// number: 0 when the peer has ended its writing, and everything was read. An empty buffer is
  /// filled at once.
  /// Errors: throws `errc::peer_closed` when the peer has died instead, after everything that it
  /// had written was read. Throws also `errc::bad_peer`, `errc::cancelled`, `errc::closed`,
  /// `errc::busy`, `errc::wrong_loop`; `errc::message_too_large` when a peer that sends messages
  /// sends one in fragments, and there is no memory to join it in.
  /// Lifetime: the buffer must stay valid until the operation has ended.
  read_some_awaitable read_some(std::span<std::byte> buffer) noexcept {
    return read_some_awaitable(impl(), in_.get(), buffer);
  }
  /// Fills the buffer. The result is the number of bytes, which is less than the buffer's size only
  /// at the end of the stream.
  /// Errors: those of `read_some`; the bytes that were read before are lost.
  /// Lifetime: the buffer must stay valid until the task has ended.
  task<std::size_t> read_exactly(std::span<std::byte> buffer) {
    return read_all(impl(), in_.get(), buffer);
  }
  /// Waits for bytes, and gives them in place, without a copy. They are empty at the end of the
  /// stream. They lie in memory that the peer writes: a hostile peer may change them, so copy
  /// before you check what must not change.
  /// Errors: those of `read_some`.
  /// Lifetime: the bytes stay valid until the next operation that reads, `consume`, or the stream's
  /// destruction.
  read_view_awaitable read_view() noexcept { return read_view_awaitable(impl(), in_.get()); }
  /// Marks the first `n` bytes of the view as read. Not while a read is pending.
  void consume(std::size_t n) noexcept {
    if (in_) in_->consume(n);
  }

  /// Writes as many of the bytes as fit into the ring, and waits while the ring is full. The result
  /// is their number, which is 0 only for no bytes.
  /// Errors: throws `errc::peer_closed` when the peer has gone or reads no more, `errc::cancelled`,
  /// `errc::closed`, `errc::busy`, `errc::bad_peer`, `errc::wrong_loop`. `errc::message_too_large`
  /// when the peer has allowed messages of no bytes only.
  /// Lifetime: the bytes must stay valid until the operation has ended.
  write_some_awaitable write_some(std::span<const std::byte> bytes) noexcept {
    return write_some_awaitable(impl(), bytes);
  }
  write_some_awaitable write_some(std::string_view text) noexcept {
    return write_some(detail::as_bytes(text));
  }
  /// Writes all of the bytes.
  /// Errors: those of `write_some`; some of the bytes may have been written before.
  write_all_awaitable write_all(std::span<const std::byte> bytes) noexcept {
    return write_all_awaitable(impl(), bytes);
  }
  write_all_awaitable write_all(std::string_view text) noexcept {
    return write_all(detail::as_bytes(text));
  }

  /// Ends the writing: the peer reads what was written, then the end. Reading goes on.
  void shutdown() noexcept { channel_.sender().close(); }
  /// Ends the reading: the peer's writes fail from the time when it next looks for space in the
  /// ring. Pending and later reads end with `errc::closed`. Writing goes on.
  void shutdown_read() noexcept { channel_.receiver().close(); }
  /// Ends both directions in order.
  void close() noexcept { channel_.close(); }
  /// Ends both directions at once, as a socket's reset does. The peer reads what was written, then
  /// gets `errc::peer_closed`. Pending and later operations end with `errc::closed`. Further calls
  /// have no effect.
  void abort() noexcept {
    channel_.abort();
    if (in_) in_->consume(in_->bytes().size());
  }

  /// When false, what is written is held back until the loop goes to sleep, or until the ring is
  /// full. Many small writes then cost one wake-up of the peer. The default is true.
  void no_delay(bool on) noexcept;

  /// Returns the identity of the peer, which the kernel recorded when the connection was made.
  sys::peer_identity peer() const noexcept { return channel_.peer(); }
  channel_statistics statistics() const noexcept { return channel_.statistics(); }

private:
  static task<std::size_t> read_all(detail::channel_impl* impl, detail::stream_input* in,
                                    std::span<std::byte> buffer);
  detail::channel_impl* impl() const noexcept { return detail::access::impl_of(channel_); }
  channel channel_;
  std::unique_ptr<detail::stream_input> in_;
};

/// Connects to the service `name`, which has to have streams (`stream_listener`, `async_accept` of
/// a stream acceptor). The result is a `stream`.
/// Errors: throws what `connect` throws. `errc::refused_kind` when the service has messages.
/// Thread-safety, cancellation: as `connect`.
task<stream> connect_stream(loop& lp, std::string name, connect_options options = {});

}  // namespace ringbell
