// SPDX-License-Identifier: BSL-1.0
#include "service/server_shard.hpp"

#include "service/server_impl.hpp"

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>

#include <new>

namespace ringbell::detail {

namespace {

// A client is idle when its last activity was more than this many looks ago.
constexpr std::uint64_t looks_per_idle_timeout = 4;

// How long handlers have to end after they were asked to stop, before they are destroyed.
constexpr std::chrono::milliseconds last_moment{100};

}  // namespace

server_shard::server_shard(loop& lp, server_impl& impl)
    : timer(&look), loop_(lp), impl_(impl), stop_timer_(*this), tasks_(std::in_place, lp) {
  // Out of memory: the connection of that client has ended.
  tasks_->on_error([](const std::exception_ptr&) {});
  loop_access::add_resident(lp, *this);
}

server_shard::~server_shard() { abort(); }

const server_options& server_shard::options() const noexcept { return impl_.options; }
std::size_t server_shard::clients() const noexcept { return impl_.clients(); }
const request_handler& server_shard::handler() const noexcept { return impl_.handler; }
const request_handler& server_shard::own_methods() const noexcept { return impl_.own_methods; }

void server_shard::accept(accepted_connection client) noexcept {
  if (!tasks_ || stopping_) return end_connection(std::move(client.parts));
  try {
    if (!stop_timer_.pending())
      loop_access::add_timer(loop_, stop_timer_, loop::clock::time_point::max());
    // An error concerns this client only (no memory, no more watches): it sees a hang-up.
    auto started = start_channel(loop_, std::move(client.parts), std::move(client.slot));
    if (!started) return;
    auto session = std::make_unique<server_session>(*this, std::move(*started));
    sessions_.push_back(*session);
    session->active_in = look_number_;
    impl_.client_came();
    tasks_->spawn(serve(std::move(session)));
    if (!timer::pending()) look_later();
  } catch (const std::bad_alloc&) {}
}

task<void> server_shard::serve(std::unique_ptr<server_session> session) {
  task<void> running = session->run();
  co_await std::move(running);
}

void server_shard::session_ended(server_session& session) noexcept {
  if (!session.linked()) return;
  session.unlink();
  impl_.client_left();
  if (stopping_ && sessions_.empty()) ended();
}

void server_shard::look_later() noexcept {
  const std::chrono::nanoseconds limit = options().idle_timeout;
  if (limit.count() <= 0 || stopping_) return;
  try {
    loop_access::add_timer(loop_, *this, from_now(limit / looks_per_idle_timeout));
  } catch (const std::bad_alloc&) {
    // The next client that connects makes it look again.
  }
}

void server_shard::drop_idle() noexcept {
  ++look_number_;
  // Only sessions that are due are looked at: with ten thousand clients, looking at all of them
  // would take milliseconds.
  while (!sessions_.empty() &&
         sessions_.front().active_in + looks_per_idle_timeout < look_number_) {
    server_session& s = sessions_.front();
    move_to_end(s);
    if (!s.idle()) continue;
    if (s.leaving())
      s.close();  // the client has not read the goodbye
    else
      s.say_goodbye(errc::dropped_idle);
  }
  if (!sessions_.empty()) look_later();
}

void server_shard::move_to_end(server_session& session) noexcept {
  if (!session.linked()) return;
  session.active_in = look_number_;
  session.unlink();
  sessions_.push_back(session);
}

void server_shard::cancel_all(errc why) noexcept {
  sessions_.for_each([&](server_session& s) { s.cancel_all(why); });
}

void server_shard::begin_stop(loop::clock::time_point until) noexcept {
  if (!std::exchange(stopping_, true))
    sessions_.for_each([](server_session& s) { s.say_goodbye(errc::refused_stopping); });
  if (sessions_.empty()) return ended();
  if (asked_ || until >= stop_at_) return;
  stop_at_ = until;
  set_stop_timer(until);
}

/// Asks the handlers to stop. When it is called again a moment later, destroys those still there.
void server_shard::grace_is_over() noexcept {
  if (!stopping_ || sessions_.empty()) return;
  if (std::exchange(asked_, true)) return abort();
  forced_ = true;
  set_stop_timer(from_now(last_moment));
  cancel_all(errc::refused_stopping);
}

void server_shard::set_stop_timer(loop::clock::time_point due) noexcept {
  // No memory is taken: the timer is pending, or its place in the heap has just become free.
  loop_access::add_timer(loop_, stop_timer_, due);
}

void server_shard::ended() noexcept {
  if (!std::exchange(told_, true)) impl_.shard_ended(forced_);
}

void server_shard::loop_gone() noexcept { impl_.loops_gone(); }

void server_shard::abort() noexcept {
  stopping_ = true;
  forced_ |= !sessions_.empty();
  tasks_.reset();
  // Another thread runs the loop, so no timer of this shard may be left there.
  loop_access::remove_timer(loop_, stop_timer_);
  loop_access::remove_timer(loop_, *this);
}

std::vector<client_statistics> server_shard::statistics(const server_session* asking) {
  std::vector<client_statistics> all;
  sessions_.for_each([&](server_session& s) {
    all.push_back(s.statistics());
    all.back().asking = &s == asking;
  });
  return all;
}

}  // namespace ringbell::detail
