// SPDX-License-Identifier: BSL-1.0
#include "service/client_impl.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/service/observer.hpp>

#include <algorithm>
#include <new>

namespace ringbell::detail {

// -- references --

void add_reference(client_impl& impl) noexcept { impl.add_reference(); }
void release_reference(client_impl& impl) noexcept { impl.release_reference(); }

// -- the calls of a connection --

std::uint32_t client_calls::add(client_call& call) {
  std::uint32_t index = 0;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    if (slots_.size() > slot_mask) throw std::bad_alloc();
    if (free_.capacity() <= slots_.size())
      free_.reserve(2 * slots_.size() + 8);  // so that remove() does not allocate
    slots_.emplace_back();
    index = static_cast<std::uint32_t>(slots_.size() - 1);
  }
  slot& s = slots_[index];
  s.call = &call;
  ++size_;
  return index | (s.uses << slot_bits);
}

void client_calls::remove(std::uint32_t number) noexcept {
  slot& s = slots_[number & slot_mask];
  s.call = nullptr;
  ++s.uses;
  free_.push_back(number & slot_mask);
  --size_;
}

void client_calls::abandon(std::uint32_t number) noexcept {
  slot& s = slots_[number & slot_mask];
  s.call = nullptr;
  s.abandoned = true;
  --size_;
}

void client_calls::answered(std::uint32_t number) noexcept {
  const std::uint32_t index = number & slot_mask;
  if (index >= slots_.size()) return;
  slot& s = slots_[index];
  if (!s.abandoned || (s.uses << slot_bits) != (number & ~slot_mask)) return;
  s.abandoned = false;
  ++s.uses;
  free_.push_back(index);
}

client_call* client_calls::find(std::uint32_t number) const noexcept {
  const std::uint32_t index = number & slot_mask;
  if (index >= slots_.size()) return nullptr;
  const slot& s = slots_[index];
  return (s.uses << slot_bits) == (number & ~slot_mask) ? s.call : nullptr;
}

// -- one connection --

client_connection::client_connection(client_impl& of, channel through)
    : impl(of), ch(std::move(through)), out(of.owner(), ch.sender()) {
  out.on_drained = [this] {
    if (leaving_) close_when_done();
  };
}

void client_connection::forget(client_call& call, bool owed) noexcept {
  if (owed)
    calls.abandon(call.id());
  else
    calls.remove(call.id());
  if (leaving_) close_when_done();
}

void client_connection::close_when_done() noexcept {
  leaving_ = true;
  if (calls.size() == 0 && !out.waiting()) ch.close();
}

errc client_connection::take(message m) {
  owned_message content(std::move(m));
  const auto decoded = service_frame::decode(content.bytes(), false);
  if (!decoded) return errc::bad_peer;
  const service_frame::header h = decoded->head;
  if (h.kind == service_frame::kind::goaway) {
    impl.said_goodbye(*this, h.reason);
    return errc{};
  }
  client_call* const call = calls.find(h.call);
  if (!call) {  // a late reply to a call that was given up
    if (h.kind == service_frame::kind::reply && (h.flags & service_frame::more) == 0)
      calls.answered(h.call);
    return errc{};
  }
  const bool sound =
      h.kind == service_frame::kind::credit
          ? call->credit_arrived(h.credit)
          : call->reply_arrived(access::make<payload>(std::move(content), *decoded), h);
  return sound ? errc{} : errc::bad_peer;
}

void client_connection::fail_all(std::error_code why) noexcept {
  out.close(errc::peer_closed);
  calls.for_each([&](client_call& call) { call.fail(why); });
}

// -- the client --

client_impl::client_impl(loop& lp, std::string name, const client_options& options)
    : loop_(lp),
      name_(std::move(name)),
      options_(options),
      reaping_(reap(std::unique_ptr<reaper>(reaper_ = new reaper(this)))),
      pause_(options.first_pause),
      tasks_(lp, "ringbell client") {
  kept_.most = options_.max_buffered_bytes;
  loop_access::add_resident(lp, *this);
}

client_impl::~client_impl() = default;

task<void> client_impl::connect() {
  connect_options how = options_.connection;
  if (!how.bells) how.bells = sys::frugal_bells();
  task<channel> connecting = ringbell::connect(loop_, name_, how);
  channel ch = co_await std::move(connecting);
  if (closed_) throw std::system_error(errc::closed);
  use(std::move(ch));
}

void client_impl::use(channel ch) {
  auto made = std::make_unique<client_connection>(*this, std::move(ch));
  task<void> receiving = receive(*made);
  current_ = std::move(made);
  pause_ = options_.first_pause;
  why_ = {};
  tasks_.spawn(std::move(receiving));
  const own_task here(*this);
  if (options_.observer) options_.observer->connected(current_->ch.peer());
}

task<void> client_impl::reconnect() {
  std::error_code failed;
  try {
    task<void> connecting = connect();
    co_await std::move(connecting);
  } catch (const std::system_error& e) {
    failed = e.code();
  } catch (const std::bad_alloc&) {
    failed = std::make_error_code(std::errc::not_enough_memory);
  }
  connecting_ = false;
  if (failed) {
    why_ = failed;
    not_before_ = from_now(pause_);
    const std::chrono::nanoseconds longest = options_.longest_pause;
    pause_ = pause_ > longest / 2 ? longest : 2 * pause_;
  }
  const own_task here(*this);
  begin_waiting(failed);
}

void client_impl::begin_waiting(std::error_code failed) noexcept {
  while (!waiting_.empty()) {
    auto& call = static_cast<client_call&>(waiting_.front());
    static_cast<pending_frame&>(call).unlink();
    if (failed)
      call.fail(failed);
    else
      call.begin();
  }
}

client_connection* client_impl::connection_for(client_call& call, std::error_code& error) {
  if (closed_) {
    error = errc::closed;
    return nullptr;
  }
  if (current_) return current_.get();
  if (!connecting_) {
    const bool pausing = why_ && not_before_ > loop::clock::now();
    if (options_.reconnect == reconnect_policy::give_up || pausing) {
      error = why_;
      return nullptr;
    }
    tasks_.spawn(reconnect());
    connecting_ = true;
  }
  waiting_.push_back(call);
  return nullptr;
}

task<void> client_impl::receive(client_connection& from) {
  std::error_code why;
  while (!why) {
    // Gives coroutines whose replies have come their turn to take them, before too much is kept.
    if (kept_.used > kept_.most / 2) co_await yield();
    auto m = co_await as_result(from.ch.recv());
    const own_task here(*this);
    why = take(from, m);
    if (why) lost(from, why);
  }
}

/// Returns why the connection has ended, or success.
std::error_code client_impl::take(client_connection& from,
                                  result<std::optional<message>>& m) noexcept {
  if (!m) return m.error();
  if (!*m) return errc::peer_closed;
  try {
    if (const errc e = from.take(std::move(**m)); e != errc{}) return e;
    return {};
  } catch (const std::bad_alloc&) {
    return std::make_error_code(std::errc::not_enough_memory);
  }
}

void client_impl::said_goodbye(client_connection& which, errc why) {
  if (current_.get() != &which)
    return which.fail_all(why);  // the second goodbye: what was not answered was not begun
  leaving_.push_back(nullptr);
  why_ = why;
  not_before_ = {};
  leaving_.back() = std::move(current_);
  which.close_when_done();
}

void client_impl::lost(client_connection& which, std::error_code why) noexcept {
  which.fail_all(why);
  if (options_.observer) options_.observer->disconnected(why);
  if (current_.get() == &which) {
    if (!closed_) why_ = why;
    not_before_ = {};
    current_.reset();
  } else {
    std::erase_if(leaving_, [&](const auto& each) { return each.get() == &which; });
  }
}

void client_impl::close() noexcept {
  if (std::exchange(closed_, true)) return;
  const intrusive_ptr<client_impl> keep(*this);
  why_ = errc::closed;
  begin_waiting(errc::closed);
  if (current_) {
    current_->fail_all(errc::closed);
    current_->ch.close();
  }
  for (const auto& each : leaving_) {
    each->fail_all(errc::closed);
    each->ch.close();
  }
}

void client_impl::loop_gone() noexcept {
  const intrusive_ptr<client_impl> keep(*this);
  close();
  current_.reset();
  leaving_.clear();
}

std::size_t client_impl::calls() const noexcept {
  std::size_t n = current_ ? current_->calls.size() : 0;
  for (const auto& each : leaving_) n += each->calls.size();
  return n;
}

sys::peer_identity client_impl::peer() const noexcept {
  return current_ ? current_->ch.peer() : sys::peer_identity();
}

std::size_t client_impl::max_message() const noexcept {
  return current_ ? current_->ch.max_message() : 0;
}

channel_statistics client_impl::statistics() const noexcept {
  return current_ ? current_->ch.statistics() : channel_statistics();
}

}  // namespace ringbell::detail
