// SPDX-License-Identifier: BSL-1.0
#include <ringbell/server.hpp>

#include "service/server_core.hpp"

#include <ringbell/as_result.hpp>
#include <ringbell/sleep.hpp>
#include <ringbell/timeout.hpp>

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <system_error>

namespace ringbell {

namespace detail {

namespace {

constexpr std::size_t rows_per_part = 64;

// How often the end of a server looks whether its pool has been stopped, and so will not do what it was asked to.
constexpr std::chrono::milliseconds look_again_after{20};

/// What runs for a while on several loops, and whose end one of them awaits.
template <class T>
struct gathering {
  gathering(loop& to, std::size_t parts) : back(to), left(parts) {}
  loop& back;
  std::size_t left;
  gate done;
  std::vector<T> all;

  /// From any thread.
  static void add(const std::shared_ptr<gathering>& to, std::vector<T> part) {
    to->back.post([to, part = std::move(part)]() mutable {
      to->all.insert(to->all.end(), part.begin(), part.end());
      if (--to->left == 0) to->done.open();
    });
  }
};

/// The methods that every server has: its statistics, for its own user and root.
task<reply> answer_own(server_core& core, request r) {
  if (r.method() != service_frame::method_statistics) throw std::system_error(errc::no_such_method);
  if (r.peer().user != sys::current_user() && !sys::is_superuser(r.peer().user))
    throw call_error(make_error_code(errc::refused_unauthorized), "statistics are for the service's own user and root");
  task<std::vector<client_statistics>> asking = core.statistics();
  const std::vector<client_statistics> rows = co_await std::move(asking);
  for (std::size_t at = 0; at < rows.size(); at += rows_per_part)
    co_await r.write(std::as_bytes(std::span(rows).subspan(at, std::min(rows_per_part, rows.size() - at))));
  co_return reply();
}

}  // namespace

server_core::server_core(loop& lp, loop_pool* pool, std::string_view name, request_handler h, server_options o)
    : options(std::move(o)),
      handler(std::move(h)),
      own_methods([this](request r) { return answer_own(*this, std::move(r)); }),
      loop_(lp),
      pool_(pool),
      listener_(listener_core::bind(lp, name, options.listening)) {
  path_ = listener_->path();
  if (pool_)
    for (std::size_t i = 0; i < pool_->size(); ++i) shards_.push_back(std::make_unique<server_shard>((*pool_)[i], *this));
  else
    shards_.push_back(std::make_unique<server_shard>(loop_, *this));
  listener_->on_ready([this] { spread(); });
}

server_core::~server_core() {
  listener_.reset();
  drop_shards();
}

void server_core::spread() noexcept {
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

task<bool> server_core::stop(time_limit grace) {
  listener_.reset();
  const auto until = from_now(grace);
  auto gathered = std::make_shared<gathering<char>>(loop_, shards_.size());
  on_each_shard([until, gathered](server_shard& s) {
    s.begin_stop(until, [gathered](bool by_itself) { gathering<char>::add(gathered, {static_cast<char>(by_itself)}); });
  });
  const auto ended = co_await as_result(gathered->done.wait());
  if (!ended) {
    on_each_shard([](server_shard& s) { s.hurry(); });
    co_await adopt_stop_token(inplace_stop_token());
    co_await gathered->done.wait();
  }
  co_return std::all_of(gathered->all.begin(), gathered->all.end(), [](char by_itself) { return by_itself != 0; });
}

/// On the thread of each, soon; where it is this one, at once: a server without a pool may be gone when a posted function runs.
template <class F>
void server_core::on_each_shard(const F& f) {
  if (!pool_) return f(*shards_.front());
  for (const auto& shard : shards_) shard->owner().post([&s = *shard, f] { f(s); });
}

task<std::vector<client_statistics>> server_core::statistics() {
  loop& here = *(co_await current_environment()).lp;
  auto gathered = std::make_shared<gathering<client_statistics>>(here, shards_.size());
  on_each_shard([gathered](server_shard& s) { gathering<client_statistics>::add(gathered, s.statistics()); });
  co_await gathered->done.wait();
  co_return std::move(gathered->all);
}

/// Each on the thread that runs its loop: nobody else may touch what is there. In two rounds: until the handlers have gone, on all loops, they may ask any of the
/// shards for its statistics.
void server_core::drop_shards() noexcept {
  if (pool_ && !pool_->stopped()) wait_for_each_shard([](std::unique_ptr<server_shard>& shard) { shard->drop(); });
  if (pool_ && !pool_->stopped()) wait_for_each_shard([](std::unique_ptr<server_shard>& shard) { shard.reset(); });
  // What was posted to a pool that has been stopped may never run. Once the threads have ended, all of it is ours.
  if (pool_ && pool_->stopped()) pool_->join();
  shards_.clear();
}

/// Calls `f` on the thread of each shard, and waits for that, at the most until the pool is stopped.
template <class F>
void server_core::wait_for_each_shard(F f) noexcept {
  struct waiting {
    std::mutex mutex;
    std::condition_variable changed;
    std::size_t left;
  };
  const auto all = std::make_shared<waiting>();
  all->left = shards_.size();
  for (std::size_t i = 0; i < shards_.size(); ++i)
    (*pool_)[i].post([&shard = shards_[i], all, f] {
      f(shard);
      const std::lock_guard lock(all->mutex);
      --all->left;
      all->changed.notify_all();
    });
  std::unique_lock lock(all->mutex);
  while (!all->changed.wait_for(lock, look_again_after, [&] { return all->left == 0; }) && !pool_->stopped()) {}
}

}  // namespace detail

server::server(loop& lp, std::string_view name, request_handler handler, server_options options)
    : core_(std::make_unique<detail::server_core>(lp, nullptr, name, std::move(handler), std::move(options))) {}
server::server(loop& lp, loop_pool& pool, std::string_view name, request_handler handler, server_options options)
    : core_(std::make_unique<detail::server_core>(lp, &pool, name, std::move(handler), std::move(options))) {}
server::server(server&&) noexcept = default;
server& server::operator=(server&&) noexcept = default;
server::~server() = default;

task<bool> server::stop(time_limit grace) { return core_->stop(grace); }
const std::string& server::path() const noexcept { return core_->path(); }
std::size_t server::clients() const noexcept { return core_->clients(); }

}  // namespace ringbell
