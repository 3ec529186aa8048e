// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/as_result.hpp>
#include <ringbell/client.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/server.hpp>
#include <ringbell/sleep.hpp>
#include <ringbell/when_all.hpp>

#include <memory>
#include <string>
#include <utility>

#include "support/channel_pair.hpp"
#include "support/process.hpp"

namespace ringbell::test {

inline constexpr std::uint32_t echo_method = method_id("echo");

/// A server under a name of its own, and clients of it, all on one loop.
class served {
public:
  served(loop& lp, request_handler handler, server_options options = {})
      : loop_(lp), server_(std::make_unique<ringbell::server>(lp, path(), std::move(handler), std::move(options))) {}
  std::string path() const { return folder_ / "service"; }
  task<client> connected(client_options options = {}) { return client::connect(loop_, path(), options); }
  ringbell::server& server() { return *server_; }
  void destroy_server() { server_.reset(); }

private:
  temporary_folder folder_;
  loop& loop_;
  std::unique_ptr<ringbell::server> server_;
};

/// The text of the `call_error` that a call ends with, with its code; empty if it ends otherwise.
template <class A>
task<std::pair<std::error_code, std::string>> error_of(A call) {
  try {
    (void)co_await std::move(call);
  } catch (const call_error& e) {
    co_return std::pair(e.code(), e.text());
  } catch (const std::system_error& e) {
    co_return std::pair(e.code(), std::string("(not from the service) ") + e.what());
  }
  co_return std::pair(std::error_code(), std::string("(no error)"));
}

}  // namespace ringbell::test
