// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/impl/service_state.ipp>
#include <ringbell/asio/server.hpp>
#include <ringbell/coro/detail/list.hpp>
#include <ringbell/loop/detail/loop_access.hpp>
#include <ringbell/loop/detail/posted_call.hpp>
#include <ringbell/loop/loop.hpp>
#include <ringbell/service/request.hpp>
#include <ringbell/service/server.hpp>

#ifdef RINGBELL_ASIO_HAS_CO_AWAIT

#include <atomic>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <utility>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

struct asio_server_state;

struct asio_request_state : list_node<asio_request_state> {
  asio_request_state(request r, std::shared_ptr<asio_server_state> of) noexcept
      : native(std::move(r)), server(std::move(of)) {}
  request native;
  const std::shared_ptr<asio_server_state> server;
  std::atomic<bool> stopped = false;
};

struct asio_server_state final : service_state {
  asio_server_state(const net::any_io_executor& of, std::string_view name,
                    shared_request_handler handler, server_options options)
      : service_state(of),
        executor(of),
        service(
            std::in_place, lp(), name,
            [this, handler = std::move(handler)](request r) {
              return handler(share(std::move(r)));
            },
            std::move(options)) {}
  ~asio_server_state() override = default;
  void close(bool) noexcept override {}
  void drop() noexcept override {
    service.reset();
    free_requests();
  }

  /// A handler on another thread may drop the last reference to a request. The request is then
  /// freed by the loop's thread, where the rest of the call is.
  shared_request share(request r) {
    auto self = std::static_pointer_cast<asio_server_state>(shared_from_this());
    return shared_request(new asio_request_state(std::move(r), std::move(self)),
                          [](asio_request_state* last) {
                            const auto on = last->server;
                            on->let_go(std::unique_ptr<asio_request_state>(last));
                          });
  }
  void let_go(std::unique_ptr<asio_request_state> last) noexcept {
    if (loop::current() == &lp()) return;
    const std::lock_guard lock(mutex_);
    if (service_gone_) return;
    released_.push_back(*last.release());
    if (!std::exchange(freeing_.posted, true)) loop_access::post(lp(), freeing_);
  }
  void free_requests() noexcept {
    for (;;) {
      std::unique_ptr<asio_request_state> first;
      {
        const std::lock_guard lock(mutex_);
        service_gone_ = !service;
        if (released_.empty()) return;
        first.reset(&released_.front());
        first->unlink();
      }
    }
  }

  const net::any_io_executor executor;
  std::optional<server> service;

private:
  class freeing final : public posted_call {
  public:
    explicit freeing(asio_server_state& of) noexcept : of_(of) {}
    void run() noexcept override {
      drop();
      of_.free_requests();
    }
    void drop() noexcept override {
      const std::lock_guard lock(of_.mutex_);
      posted = false;
    }
    bool posted = false;  // under the mutex

  private:
    asio_server_state& of_;
  };

  std::mutex mutex_;
  list<asio_request_state> released_;
  bool service_gone_ = false;
  freeing freeing_{*this};
};

std::uint32_t method_of(const shared_request& r) noexcept { return r ? r->native.method() : 0; }
const payload& content_of(const shared_request& r) noexcept {
  static const payload none;
  return r ? r->native.content() : none;
}
const sys::peer_identity& peer_of(const shared_request& r) noexcept {
  static const sys::peer_identity none;
  return r ? r->native.peer() : none;
}
std::optional<std::chrono::steady_clock::time_point> deadline_of(const shared_request& r) noexcept {
  return r ? r->native.deadline() : std::nullopt;
}
bool stop_requested(const shared_request& r) noexcept {
  return r && r->stopped.load(std::memory_order_relaxed);
}
void stop_request::operator()() noexcept {
  // relaxed: the cancellation reaches the handler's thread through a lock.
  request_->stopped.store(true, std::memory_order_relaxed);
  handler_->request_stop();
}
net::any_io_executor home_of(const shared_request& r) {
  return r ? r->server->executor : net::any_io_executor();
}

namespace {
task<std::optional<payload>> run_read(shared_request r) { co_return co_await r->native.read(); }
task<void> run_write(shared_request r, std::span<const std::byte> part) {
  co_await r->native.write(part);
}
task<bool> run_stop(std::shared_ptr<asio_server_state> server, time_limit grace) {
  task<bool> stopping = server->service->stop(grace);
  const bool by_themselves = co_await std::move(stopping);
  server->end();
  co_return by_themselves;
}
std::shared_ptr<asio_server_state> server_of(const shared_request& r) noexcept {
  return r ? r->server : nullptr;
}
}  // namespace

run_start<std::optional<payload>> start_read(const shared_request& r) noexcept {
  return start_on<std::optional<payload>>(server_of(r), [&] { return run_read(r); });
}
run_start<void> start_write(const shared_request& r, std::span<const std::byte> part) noexcept {
  return start_on<void>(server_of(r), [&] { return run_write(r, part); });
}

std::shared_ptr<asio_server_state> make_server_state(const net::any_io_executor& executor,
                                                     std::string_view name,
                                                     shared_request_handler handler,
                                                     server_options options) {
  auto state =
      make_service_state<asio_server_state>(executor, name, std::move(handler), std::move(options));
  // Requests refer to the server, so it has to end with its last handle, not with the last
  // reference.
  asio_server_state* const server = state.get();
  return {server, [state = std::move(state)](asio_server_state*) { state->end(); }};
}
bool is_open(const asio_server_state& server) noexcept { return !server.ended(); }
void close(asio_server_state& server) noexcept { server.end(); }
const std::string& path_of(const asio_server_state* server) noexcept {
  static const std::string none;
  return server && server->service ? server->service->path() : none;
}
std::size_t clients_of(const asio_server_state& server) noexcept {
  return server.service ? server.service->clients() : 0;
}

run_start<bool> start_stop(const std::shared_ptr<asio_server_state>& server,
                           time_limit grace) noexcept {
  return start_on<bool>(server, [&] { return run_stop(server, grace); });
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI

#endif
