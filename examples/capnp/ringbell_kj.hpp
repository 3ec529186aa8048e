// SPDX-License-Identifier: BSL-1.0
#pragma once

// Streams of ringbell for KJ, the library below Cap'n Proto. `network` is to shared memory what
// kj::Network is to sockets. The promises, streams and exceptions are KJ's, and everything happens
// in the thread of KJ's loop.
#include <ringbell/ringbell.hpp>

#include <kj/async-io.h>
#include <kj/async-unix.h>
#include <kj/debug.h>
#include <poll.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <exception>
#include <new>
#include <optional>
#include <span>
#include <string>
#include <system_error>
#include <type_traits>
#include <utility>
#include <vector>

namespace ringbell_kj {

/// Returns the error as an exception of KJ. When the peer has gone, or died, that is DISCONNECTED.
inline kj::Exception to_kj(std::exception_ptr error) {
  const auto of = [](kj::Exception::Type type, const char* text) {
    return kj::Exception(type, "ringbell", 0, kj::heapString(text));
  };
  try {
    std::rethrow_exception(std::move(error));
  } catch (const std::system_error& e) {
    const bool gone =
        e.code() == ringbell::errc::peer_closed || e.code() == ringbell::errc::no_server;
    return of(gone ? kj::Exception::Type::DISCONNECTED : kj::Exception::Type::FAILED, e.what());
  } catch (const std::bad_alloc& e) {
    return of(kj::Exception::Type::OVERLOADED, e.what());
  } catch (const std::exception& e) {
    return of(kj::Exception::Type::FAILED, e.what());
  }
}

/// Runs a ringbell loop in the thread of KJ's loop, beside what else KJ does there. While messages
/// come, it polls the rings for a moment before KJ sleeps. With `spin_policy::always` KJ never
/// sleeps, and `kj::Promise::poll` does not return before its promise is ready.
///
/// Lifetime: it must outlive the promises that `run` has made.
class driver {
public:
  explicit driver(kj::UnixEventPort& port, ringbell::loop_options options = {})
      : port_(port),
        loop_(options),
        handle_(port, loop_.native_handle(), kj::UnixEventPort::FdObserver::OBSERVE_READ),
        running_(turn().eagerlyEvaluate(nullptr)) {}

  ringbell::loop& loop() noexcept { return loop_; }

  /// Starts a task of the loop.
  /// Cancellation: destroying the promise destroys the task, with what it waits for.
  template <class T>
  kj::Promise<T> run(ringbell::task<T> work) {
    return kj::newAdaptedPromise<T, running<T>>(*this, std::move(work));
  }

private:
  template <class T>
  class running {
  public:
    running(kj::PromiseFulfiller<T>& done, driver& of, ringbell::task<T> work) : scope_(of.loop_) {
      scope_.spawn(fulfill(done, std::move(work)));
      of.wake();
    }

  private:
    static ringbell::task<> fulfill(kj::PromiseFulfiller<T>& done, ringbell::task<T> work) {
      try {
        if constexpr (std::is_void_v<T>) {
          co_await std::move(work);
          done.fulfill();
        } else {
          T value = co_await std::move(work);
          done.fulfill(std::move(value));
        }
      } catch (...) {
        done.reject(to_kj(std::current_exception()));
      }
    }
    ringbell::scope scope_;
  };

  /// Runs a turn of the loop when KJ has nothing else to do, and then the next turn.
  kj::Promise<void> turn() {
    return kj::evalLast([this]() -> kj::Promise<void> {
      if (drive()) {
        // KJ looks at its descriptors and timers only when it has nothing to do.
        if (++turns_ % turns_per_poll == 0 && port_.poll()) port_.wake();
        return turn();
      }
      auto readable = handle_.whenBecomesReadable();
      // The kernel tells KJ only when the handle becomes readable, and may have done so before.
      pollfd now{loop_.native_handle(), POLLIN, 0};
      if (::poll(&now, 1, 0) > 0) return turn();
      auto woken = kj::newPromiseAndFulfiller<void>();
      woken_ = std::move(woken.fulfiller);
      return readable.exclusiveJoin(std::move(woken.promise)).then([this] {
        woken_ = nullptr;
        return turn();
      });
    });
  }
  /// Returns whether to call it again soon.
  bool drive() {
    try {
      return loop_.drive();
    } catch (const std::exception& e) {  // the kernel cannot be told what the loop waits for
      KJ_LOG(ERROR, "ringbell", e.what());
      return true;
    }
  }
  /// Starts the next turn at once. The loop's handle would do so too, but through the kernel.
  void wake() {
    if (woken_.get()) woken_->fulfill();
  }

  static constexpr unsigned turns_per_poll = 32;

  kj::UnixEventPort& port_;
  ringbell::loop loop_;
  kj::UnixEventPort::FdObserver handle_;
  kj::Own<kj::PromiseFulfiller<void>> woken_;  // null while the loop has turns
  unsigned turns_ = 0;
  kj::Promise<void> running_;
};

/// A stream of ringbell as one of KJ, with the contract of a socket there: one read and one write
/// may be pending at a time; buffers stay valid until the promise has ended or was destroyed.
///
/// Cancellation: a read that is cancelled loses no bytes, unless its promise was fulfilled already.
/// A write that is cancelled may have written a part.
class stream final : public kj::AsyncIoStream {
public:
  stream(driver& in, ringbell::stream through) : in_(in), stream_(std::move(through)) {}

  kj::Promise<std::size_t> tryRead(void* buffer, std::size_t least, std::size_t most) override {
    const std::span into(static_cast<std::byte*>(buffer), most);
    least = std::min(std::max<std::size_t>(least, 1), most);
    if (buffered_.size() >= least) return take(into);
    return in_.run(read_at_least(least, into));
  }
  kj::Promise<void> write(const void* buffer, std::size_t size) override {
    return in_.run(write_one({static_cast<const std::byte*>(buffer), size}));
  }
  kj::Promise<void> write(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) override {
    return in_.run(write_all(pieces));
  }
  /// Ends when a read or a write finds that the peer has gone, or when it dies while none is
  /// pending.
  kj::Promise<void> whenWriteDisconnected() override {
    if (!disconnected_) {
      auto made = kj::newPromiseAndFulfiller<void>();
      disconnect_ = std::move(made.fulfiller);
      disconnected_.emplace(made.promise.fork());
      watch();
    }
    return disconnected_->addBranch();
  }
  void shutdownWrite() override { stream_.shutdown(); }
  void abortRead() override { stream_.shutdown_read(); }

private:
  /// A read that has not ended. When it is cancelled, its bytes are kept for the next one.
  class reading {
  public:
    reading(stream& of, std::span<std::byte> into) noexcept : of_(of), into_(into) {
      of_.watching_ = nullptr;
      of_.reading_ = true;
    }
    reading(const reading&) = delete;
    reading& operator=(const reading&) = delete;
    ~reading() {
      if (have_ > 0) of_.give_back(into_.first(have_));
      of_.reading_ = false;
      of_.watch();
    }
    std::size_t have() const noexcept { return have_; }
    std::span<std::byte> rest() const noexcept { return into_.subspan(have_); }
    void add(std::size_t n) noexcept { have_ += n; }
    std::size_t end() noexcept { return std::exchange(have_, 0); }

  private:
    stream& of_;
    std::span<std::byte> into_;
    std::size_t have_ = 0;
  };

  /// RPC reads a message in several small parts. The first read takes all that is there into the
  /// buffer, and the others find their bytes in it.
  ringbell::task<std::size_t> read_at_least(std::size_t least, std::span<std::byte> into) {
    reading r(*this, into);
    r.add(take(into));
    while (r.have() < least) {
      const bool direct = r.rest().size() >= buffer_.size();
      const std::span<std::byte> to = direct ? r.rest() : std::span<std::byte>(buffer_);
      const auto n = co_await ringbell::as_result(stream_.read_some(to));
      if (!n) fail(n.error());
      if (*n == 0) break;
      if (!direct) buffered_ = to.first(*n);
      r.add(direct ? *n : take(r.rest()));
    }
    co_return r.end();
  }
  std::size_t take(std::span<std::byte> into) noexcept {
    const std::size_t n = std::min(buffered_.size(), into.size());
    std::copy_n(buffered_.begin(), n, into.begin());
    buffered_ = buffered_.subspan(n);
    return n;
  }
  void give_back(std::span<const std::byte> bytes) {
    std::vector<std::byte> all(bytes.begin(), bytes.end());
    all.insert(all.end(), buffered_.begin(), buffered_.end());
    given_back_ = std::move(all);
    buffered_ = given_back_;
  }

  ringbell::task<> write_one(std::span<const std::byte> bytes) {
    const auto written = co_await ringbell::as_result(stream_.write_all(bytes));
    if (!written) fail(written.error());
  }
  /// The peer is woken once, for all pieces.
  ringbell::task<> write_all(kj::ArrayPtr<const kj::ArrayPtr<const kj::byte>> pieces) {
    const held_back until_the_end(stream_);
    for (const auto piece : pieces) {
      const std::span<const kj::byte> bytes(piece.begin(), piece.size());
      const auto written = co_await ringbell::as_result(stream_.write_all(std::as_bytes(bytes)));
      if (!written) fail(written.error());
    }
  }
  class held_back {
  public:
    explicit held_back(ringbell::stream& s) noexcept : stream_(s) { stream_.no_delay(false); }
    held_back(const held_back&) = delete;
    held_back& operator=(const held_back&) = delete;
    ~held_back() { stream_.no_delay(true); }

  private:
    ringbell::stream& stream_;
  };

  [[noreturn]] void fail(std::error_code error) {
    if (error == ringbell::errc::peer_closed && disconnect_.get()) disconnect_->fulfill();
    throw std::system_error(error);
  }
  /// Waits for the peer's death while no read does. It takes no bytes.
  void watch() {
    if (!disconnect_.get() || !disconnect_->isWaiting() || reading_) return;
    watching_ = in_.run(await_death()).eagerlyEvaluate([](kj::Exception&&) {});
  }
  ringbell::task<> await_death() {
    const auto seen = co_await ringbell::as_result(stream_.read_view());
    if (!seen) fail(seen.error());
  }

  driver& in_;
  ringbell::stream stream_;
  std::array<std::byte, 4096> buffer_;
  std::vector<std::byte> given_back_;
  std::span<std::byte> buffered_;  // what was received and not yet read, in one of the above
  bool reading_ = false;
  kj::Own<kj::PromiseFulfiller<void>> disconnect_;
  std::optional<kj::ForkedPromise<void>> disconnected_;
  kj::Promise<void> watching_ = nullptr;
};

class receiver final : public kj::ConnectionReceiver {
public:
  receiver(driver& in, const std::string& name)
      : in_(in), listener_(ringbell::stream_listener::bind(in.loop(), name)) {}

  kj::Promise<kj::Own<kj::AsyncIoStream>> accept() override { return in_.run(next()); }
  kj::uint getPort() override { return 0; }

private:
  ringbell::task<kj::Own<kj::AsyncIoStream>> next() {
    ringbell::stream accepted = co_await listener_.accept();
    co_return kj::heap<stream>(in_, std::move(accepted));
  }
  driver& in_;
  ringbell::stream_listener listener_;
};

/// Makes streams, as kj::Network does for sockets. A name is the name of a service, or a path.
///
/// Lifetime: it must outlive what it has made.
class network {
public:
  explicit network(kj::UnixEventPort& port, ringbell::loop_options options = {})
      : in_(port, options) {}

  /// Errors: throws a kj::Exception.
  kj::Own<kj::ConnectionReceiver> listen(const std::string& name) {
    try {
      return kj::heap<receiver>(in_, name);
    } catch (const std::system_error&) {
      kj::throwFatalException(to_kj(std::current_exception()));
    }
  }
  kj::Promise<kj::Own<kj::AsyncIoStream>> connect(std::string name) {
    return in_.run(connected(in_, std::move(name)));
  }

private:
  static ringbell::task<kj::Own<kj::AsyncIoStream>> connected(driver& in, std::string name) {
    ringbell::stream made = co_await ringbell::connect_stream(in.loop(), std::move(name));
    co_return kj::heap<stream>(in, std::move(made));
  }
  driver in_;
};

}  // namespace ringbell_kj
