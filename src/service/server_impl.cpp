// SPDX-License-Identifier: BSL-1.0
#include "service/server_impl.hpp"

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/timeout.hpp>

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <new>
#include <system_error>
#include <thread>

namespace ringbell::detail {

namespace {

constexpr std::size_t rows_per_part = 64;

// While a server ends, it looks this often whether its pool has been stopped, because a stopped
// pool does nothing that it was asked to do. It then also repeats what failed for lack of memory.
constexpr std::chrono::milliseconds look_again_after{20};

// How much longer than its grace a stop waits. Handlers have 100 ms to end after the grace; one
// that has not ended by then is blocking a thread of the pool.
constexpr std::chrono::milliseconds after_the_grace{200};

/// Wakes a coroutine on its loop, from any thread. If there is no memory for that, the coroutine
/// notices the change by itself when it looks again.
template <class T>
void tell(loop& where, const std::shared_ptr<T>& waiting) noexcept {
  try {
    where.post([waiting] { waiting->changed.give(); });
  } catch (const std::bad_alloc&) {}
}

/// Collects the statistics of several shards for a coroutine on one loop.
struct gathering {
  explicit gathering(std::size_t shards) noexcept : left(shards) {}
  nudge changed;  // used by the coroutine's thread only
  std::mutex mutex;
  std::vector<client_statistics> all;
  std::atomic<bool> failed{false};
  // Release and acquire: a thread that reads 0 sees all that was added.
  std::atomic<std::size_t> left;

  /// Called on the thread of the shard.
  static void add(const std::shared_ptr<gathering>& to, loop& back, server_shard& from,
                  const server_session* asking) noexcept {
    try {
      const std::vector<client_statistics> part = from.statistics(asking);
      const std::lock_guard lock(to->mutex);
      to->all.insert(to->all.end(), part.begin(), part.end());
    } catch (const std::bad_alloc&) {
      to->failed.store(true, std::memory_order_relaxed);
    }
    if (to->left.fetch_sub(1, std::memory_order_acq_rel) == 1) tell(back, to);
  }
};

/// Limits the longest message to what may be kept for a client, because the server keeps memory for
/// a whole message once a client has begun to send it.
server_options sound(server_options o) noexcept {
  constexpr std::size_t least = service_frame::max_header_size + service_frame::max_metadata;
  o.listening.max_message =
      std::min<std::uint64_t>(o.listening.max_message, std::max(o.max_buffered_bytes, least));
  return o;
}

/// Handles the methods that every server has: its statistics, for its own user and root.
task<reply> answer_own(server_impl& impl, request r) {
  if (r.method() != service_frame::method_statistics) throw std::system_error(errc::no_such_method);
  if (!sys::is_current_user(r.peer().user) && !sys::is_superuser(r.peer().user))
    throw call_error(make_error_code(errc::refused_unauthorized),
                     "statistics are for the service's own user and root");
  task<std::vector<client_statistics>> asking = impl.statistics(session_of(r));
  const std::vector<client_statistics> rows = co_await std::move(asking);
  for (std::size_t at = 0; at < rows.size(); at += rows_per_part)
    co_await r.write(
        std::as_bytes(std::span(rows).subspan(at, std::min(rows_per_part, rows.size() - at))));
  co_return reply();
}

}  // namespace

server_impl::server_impl(loop& lp, loop_pool* pool, std::string_view name, request_handler h,
                         server_options o)
    : options(sound(std::move(o))),
      handler(std::move(h)),
      own_methods([this](request r) { return answer_own(*this, std::move(r)); }),
      loop_(lp),
      pool_(pool),
      listener_(handshake_listener::bind(lp, name, options.listening)) {
  path_ = listener_->path();
  if (pool_)
    for (std::size_t i = 0; i < pool_->size(); ++i)
      shards_.push_back(std::make_unique<server_shard>((*pool_)[i], *this));
  else
    shards_.push_back(std::make_unique<server_shard>(loop_, *this));
  ending_ = std::make_shared<server_ending>(this);
  ending_->shards_left = shards_.size();
  listener_->on_ready([this] { spread(); });
  loop_access::add_resident(lp, *this);
}

server_impl::~server_impl() { end(); }

void server_impl::end() noexcept {
  ending_->impl = nullptr;
  listener_.reset();
  abort_shards();
  pool_ = nullptr;
  ending_->changed.give();
}

void server_impl::spread() noexcept {
  while (auto client = listener_->take()) {
    server_shard& shard = *shards_[next_++ % shards_.size()];
    if (&shard.owner() == &loop_) {
      shard.accept(std::move(*client));
      continue;
    }
    try {
      auto travelling = std::make_shared<accepted_connection>(std::move(*client));
      shard.owner().post([&shard, travelling] { shard.accept(std::move(*travelling)); });
    } catch (const std::bad_alloc&) {
      // The client sees a hang-up.
    }
  }
}

/// Static, because the server may be gone before the stop ends, as when one of its handlers awaits
/// it.
task<bool> server_impl::stop(std::shared_ptr<server_ending> ending, time_limit grace) {
  const coroutine_context context = co_await current_context();
  if (!ending || !ending->impl) co_return true;
  require_home(context, ending->impl->loop_);
  ending->impl->listener_.reset();
  if (ending->over()) co_return true;
  auto until = from_now(grace);
  bool asked = false;
  bool hurried = false;
  while (ending->impl && !ending->over() && !ending->impl->pool_stopped()) {
    const auto now = loop::clock::now();
    if (!hurried && context.stop.stop_requested()) {
      hurried = true;
      asked = false;
      until = std::min(until, now);
      co_await adopt_stop_token(inplace_stop_token());
    }
    if (!asked) asked = ending->impl->ask_to_stop(until);
    if (now - after_the_grace >= until) break;
    if (ending->impl && !ending->over())
      co_await nudge::awaiter(ending->changed, from_now(look_again_after));
  }
  co_return ending->over() && !ending->forced.load(std::memory_order_relaxed);
}

/// Returns false when memory was lacking; the caller then has to ask again.
bool server_impl::ask_to_stop(loop::clock::time_point until) noexcept {
  try {
    if (pool_)
      for (const auto& shard : shards_)
        shard->owner().post([&s = *shard, until] { s.begin_stop(until); });
    else
      shards_.front()->begin_stop(until);
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

void server_impl::shard_ended(bool forced) noexcept {
  if (forced) ending_->forced.store(true, std::memory_order_relaxed);
  if (ending_->shards_left.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  if (pool_)
    tell(loop_, ending_);
  else
    ending_->changed.give();
}

/// Calls `f` for each shard on the thread of its loop, soon. Without a pool that is this thread,
/// and `f` is called at once, because the server may be gone when a posted function runs.
template <class F>
void server_impl::on_each_shard(const F& f) {
  if (!pool_) return f(*shards_.front());
  for (const auto& shard : shards_) shard->owner().post([&s = *shard, f] { f(s); });
}

task<std::vector<client_statistics>> server_impl::statistics(const server_session* asking) {
  const coroutine_context context = co_await current_context();
  const auto gathered = std::make_shared<gathering>(shards_.size());
  on_each_shard([gathered, &back = *loop::current(), asking](server_shard& s) {
    gathering::add(gathered, back, s, asking);
  });
  while (gathered->left.load(std::memory_order_acquire) != 0) {
    if (context.stop.stop_requested()) throw std::system_error(errc::cancelled);
    co_await nudge::awaiter(gathered->changed, from_now(look_again_after));
  }
  if (gathered->failed.load(std::memory_order_relaxed)) throw std::bad_alloc();
  co_return std::move(gathered->all);
}

/// Drops each shard on the thread that runs its loop, because no other thread may touch it. That
/// takes two rounds. Until all handlers on all loops have gone, which the first round achieves,
/// they may ask any shard for its statistics. What they posted has run when the second round is
/// over.
void server_impl::abort_shards() noexcept {
  if (pool_) abort_each_shard();
  if (pool_) abort_each_shard();
  // Functions that were posted to a stopped pool may never run. Once its threads have ended, this
  // thread may touch all shards.
  if (pool_stopped()) pool_->join();
  shards_.clear();
}

/// Drops each shard on its thread, and waits for that, but not longer than until the pool is
/// stopped. Tries again when memory is lacking.
void server_impl::abort_each_shard() noexcept {
  {
    const std::lock_guard lock(ending_->mutex);
    ending_->not_dropped = shards_.size();
  }
  // It captures one pointer, so the posted function has two and needs no allocation of its own.
  const auto abort = [this](server_shard& shard) {
    const std::shared_ptr<server_ending> told = ending_;
    shard.abort();
    const std::lock_guard lock(told->mutex);
    if (--told->not_dropped == 0) told->dropped.notify_all();
  };
  for (std::size_t asked = 0; asked < shards_.size() && !pool_stopped();) {
    server_shard& shard = *shards_[asked];
    try {
      shard.owner().post([abort, &shard] { abort(shard); });
      ++asked;
    } catch (const std::bad_alloc&) {
      std::this_thread::sleep_for(look_again_after);
    }
  }
  std::unique_lock lock(ending_->mutex);
  while (!ending_->dropped.wait_for(lock, look_again_after, [this] {
    return ending_->not_dropped == 0;
  }) && !pool_->stopped()) {}
}

}  // namespace ringbell::detail
