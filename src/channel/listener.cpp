// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/listener.hpp>

#include <ringbell/channel/detail/handshake_listener.hpp>

#include <utility>

namespace ringbell {

namespace detail {

/// Makes channels of a listener's clients, one at a time, and only while an accept waits for one.
class listener_impl final : private resident {
public:
  explicit listener_impl(std::unique_ptr<handshake_listener> of)
      : impl(std::move(of)), path(impl->path()) {
    impl->on_ready([this] { offer(); });
    loop_access::add_resident(impl->owner(), *this);
  }
  listener_impl(const listener_impl&) = delete;
  listener_impl& operator=(const listener_impl&) = delete;
  ~listener_impl() { end_wait(); }

  void wait(accept_awaiter& a) noexcept {
    waiting.put(a);
    offer();
  }
  channel take() noexcept { return std::move(next_); }

  std::unique_ptr<handshake_listener> impl;  // null when the loop has gone
  const std::string path;
  wait_slot<accept_awaiter> waiting;

private:
  void loop_gone() noexcept override {
    end_wait();
    impl.reset();
  }
  void end_wait() noexcept {
    if (waiting) waiting->complete();
    waiting.lose_object();
  }
  void offer() noexcept {
    if (!waiting) return;
    while (!next_) {
      std::optional<accepted_connection> client = impl->take();
      if (!client) return;
      // An error concerns this client only (no memory, no more watches). It sees a hang-up, and the
      // accept goes on waiting.
      if (auto started =
              start_channel(impl->owner(), std::move(client->parts), std::move(client->slot)))
        next_ = std::move(*started);
    }
    waiting->complete();
  }

  // Kept for the next accept when the accept that it was made for is cancelled before it has taken
  // the channel.
  channel next_;
};

loop& accept_awaiter::owner() const noexcept { return of_->impl->owner(); }

bool accept_awaiter::await_ready() noexcept {
  if (!of_ || !of_->impl)
    outcome_ = errc::closed;
  else if (of_->waiting)
    outcome_ = errc::busy;
  return outcome_ != errc::would_block;
}

void accept_awaiter::begin() noexcept { of_->wait(*this); }

void accept_awaiter::leave() noexcept {
  if (of_) of_->waiting.remove(*this);
}

result<channel> accept_awaiter::take_result() noexcept {
  disarm();
  leave();
  auto* const from = std::exchange(of_, nullptr);  // the listener may go before this awaiter does
  if (outcome_ != errc::would_block) return outcome_;
  if (!from) return errc::closed;
  if (stop_requested() || !completed()) return errc::cancelled;
  return from->take();
}

}  // namespace detail

listener listener::bind(loop& lp, std::string_view name, listener_options options) {
  return bind(lp, name, std::move(options), handshake::record_kind::messages);
}
listener listener::bind(loop& lp, std::string_view name, listener_options options,
                        handshake::record_kind kind) {
  return listener(std::make_unique<detail::listener_impl>(
      detail::handshake_listener::bind(lp, name, std::move(options), kind)));
}

listener::listener(std::unique_ptr<detail::listener_impl> clients) noexcept
    : impl_(std::move(clients)) {}
listener::listener(listener&&) noexcept = default;
listener& listener::operator=(listener&&) noexcept = default;
listener::~listener() = default;

const std::string& listener::path() const noexcept {
  static const std::string none;
  return impl_ ? impl_->path : none;
}
std::size_t listener::clients() const noexcept {
  return impl_ && impl_->impl ? impl_->impl->clients() : 0;
}

}  // namespace ringbell
