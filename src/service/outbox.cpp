// SPDX-License-Identifier: BSL-1.0
#include <ringbell/service/detail/outbox.hpp>

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/timeout.hpp>

#include <cstring>
#include <utility>

namespace ringbell::detail {

namespace {

void copy(std::span<std::byte>& to, std::span<const std::byte> from) noexcept {
  if (from.empty()) return;
  std::memcpy(to.data(), from.data(), from.size());
  to = to.subspan(from.size());
}

/// Writes header, metadata and payload. `to` has exactly their size.
void write_frame(std::span<std::byte> to, const outgoing_frame& f) {
  copy(to, service_frame::encode(f.head).bytes());
  copy(to, as_bytes(f.metadata));
  if (!to.empty()) f.payload->write(to);
}

}  // namespace

pending_frame::~pending_frame() {
  if (in_) in_->withdraw(*this);
}

outbox::~outbox() { close(errc::closed); }

std::size_t outbox::size_of(const outgoing_frame& f) const {
  return service_frame::encode(f.head).size + f.metadata.size() +
         (f.payload ? f.payload->size() : 0);
}

errc outbox::try_send(const outgoing_frame& f) {
  if (closed_ != errc{}) return closed_;
  if (flushing_) return errc::would_block;
  const std::size_t size = size_of(f);
  if (size > sender_.max_message()) return errc::message_too_large;
  if (size > sender_.max_claim()) return errc::would_block;
  auto space = sender_.try_claim(size);
  if (!space) return static_cast<errc>(space.error().value());
  write_frame(space->bytes(), f);
  space->commit();
  return errc{};
}

void outbox::push(pending_frame& p) {
  start();
  queue_.push_back(p);
  p.in_ = this;
  try {
    p.bytes_ = size_of(p.frame);
  } catch (...) {
    p.bytes_ = 0;  // its codec throws, and will throw again when the frame is to be sent
  }
  bytes_ += p.bytes_;
}

one_shot_event& outbox::room_for(std::size_t bytes) noexcept {
  room_.emplace();
  room_at_ = bytes;
  tell_room();
  return *room_;
}

bool outbox::withdraw(pending_frame& p) noexcept {
  if (p.in_ != this) return true;
  take_out(p);
  if (current_ != &p) return true;
  current_ = nullptr;
  // A message in fragments may have been sent completely before flush() has run again. A record is
  // written by flush() itself.
  const bool sent =
      in_fragments_ && access::impl_of(sender_) && access::impl_of(sender_)->has_sent();
  stop_->request_stop();
  return !sent;
}

void outbox::send_small(const service_frame::header& h) noexcept {
  try {
    const errc e = small_.empty() ? try_send({h, {}, nullptr}) : errc::would_block;
    if (e != errc::would_block) return;  // a peer that has gone need not be told
    start();
    // At most one credit frame for each call waits, so a peer that sends and does not read takes no
    // memory.
    if (h.kind == service_frame::kind::credit)
      for (service_frame::header& waiting : small_)
        if (waiting.kind == h.kind && waiting.call == h.call)
          return void(waiting.credit += h.credit);
    small_.push_back(h);
  } catch (const std::bad_alloc&) {
    // The peer would wait for this frame. It is better that it sees the connection end.
    sender_.close();
  }
}

void outbox::start() {
  if (flushing_) return;
  if (!flusher_) flusher_.emplace(loop_, "ringbell outbox");
  flusher_->spawn(flush());
  flushing_ = true;
}

void outbox::close(errc e) noexcept {
  if (closed_ != errc{}) return;
  closed_ = e;
  small_.clear();
  if (current_) stop_->request_stop();
  current_ = nullptr;
  while (!queue_.empty()) {
    pending_frame& p = queue_.front();
    take_out(p);
    p.sent(e, nullptr);
  }
  tell_room();
}

task<void> outbox::flush() {
  errc e{};
  try {
    task<errc> sending = send_all();
    e = co_await std::move(sending);
  } catch (const std::bad_alloc&) {
    // The frames that wait cannot be sent, and their order must not change. It is better to close
    // the connection than to leave it silent.
    current_ = nullptr;
    e = errc::closed;
    sender_.close();
  }
  flushing_ = false;
  if (e != errc{}) close(e);
  if (on_drained) on_drained();
}

/// Sends until no frame waits. Returns the error that ends the connection.
task<errc> outbox::send_all() {
  errc e{};
  while (closed_ == errc{} && e == errc{} && (!small_.empty() || !queue_.empty())) {
    stop_.emplace();
    co_await adopt_stop_token(stop_->get_token());
    if (!small_.empty()) {
      const std::vector<service_frame::header> now = std::exchange(small_, {});
      for (const service_frame::header& h : now) {
        const service_frame::encoded_header bytes = service_frame::encode(h);
        const auto sent = co_await as_result(sender_.send(bytes.bytes()));
        if (!sent) e = static_cast<errc>(sent.error().value());
      }
    } else {
      current_ = &queue_.front();
      in_fragments_ = false;
      task<errc> one = flush_one(*current_);
      e = co_await std::move(one);
    }
  }
  co_return e;
}

/// Sends the frame `p`, unless it is withdrawn meanwhile. Returns the error that ends the
/// connection, not the frame's own error.
task<errc> outbox::flush_one(pending_frame& p) {
  errc e{};
  std::exception_ptr thrown;
  std::optional<std::size_t> size;
  try {
    size = size_of(p.frame);
  } catch (...) {
    thrown = std::current_exception();
  }
  if (!size) {
    e = errc::handler_failed;
  } else if (*size > sender_.max_message()) {
    e = errc::message_too_large;
  } else if (*size <= sender_.max_claim()) {
    auto space = co_await as_result(sender_.claim(*size));
    if (current_ != &p) co_return errc{};
    if (!space) {
      current_ = nullptr;
      co_return static_cast<errc>(space.error().value());
    }
    try {
      write_frame(space->bytes(), p.frame);
      space->commit();
    } catch (...) {
      thrown = std::current_exception();
      e = errc::handler_failed;
    }
  } else {
    // It is too long for one record, so it is sent from memory in fragments.
    const service_frame::encoded_header head = service_frame::encode(p.frame.head);
    std::vector<std::byte> encoded;
    std::span<const std::byte> body;
    if (p.frame.payload) body = p.frame.payload->bytes();
    if (p.frame.payload && body.empty()) try {
        encoded.resize(p.frame.payload->size());
        p.frame.payload->write(encoded);
        body = encoded;
      } catch (...) {
        thrown = std::current_exception();
        e = errc::handler_failed;
      }
    if (e == errc{}) {
      const std::span<const std::byte> pieces[] = {head.bytes(), as_bytes(p.frame.metadata), body};
      in_fragments_ = true;
      const auto sent = co_await as_result(sender_.send_gather(pieces));
      if (current_ != &p) co_return errc{};
      if (!sent) {
        current_ = nullptr;
        co_return static_cast<errc>(sent.error().value());
      }
    }
  }
  current_ = nullptr;
  take_out(p);
  p.sent(e, std::move(thrown));
  co_return errc{};
}

}  // namespace ringbell::detail
