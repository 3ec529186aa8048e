// SPDX-License-Identifier: BSL-1.0
// A service that systemd starts on the first connection: greeter [NAME]
// It uses the socket that it gets, or listens under NAME when it gets none. It says when it is
// ready and when it stops, and shows the watchdog that its loop still runs.
#include "systemd.hpp"

#include <ringbell/ringbell.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>
#include <system_error>
#include <vector>

namespace {

ringbell::task<ringbell::reply> answer(ringbell::request r) {
  if (r.method() == ringbell::method_id("greet"))
    co_return ringbell::reply("hello, " + std::string(r.text()));
  throw std::system_error(ringbell::errc::no_such_method);
}

/// A loop that hangs says nothing, and the service manager then starts the service again.
ringbell::task<> feed_watchdog() {
  const auto limit = systemd::watchdog_limit();
  while (limit) {
    systemd::notify("WATCHDOG=1");
    co_await ringbell::sleep_for(*limit / 2);
  }
}

ringbell::task<> serve(ringbell::loop& lp, std::string name) {
  const std::vector<systemd::passed_socket> sockets = systemd::passed_sockets();
  ringbell::server_options options;
  if (!sockets.empty()) {
    options.listening.socket = sockets.front().handle;
    name.clear();
  }
  ringbell::server service(lp, name, answer, options);
  ringbell::scope beside(lp);
  beside.spawn(feed_watchdog());
  systemd::notify("READY=1");
  std::printf("greeter listens on %s\n", service.path().c_str());
  std::fflush(stdout);

  co_await ringbell::signalled(SIGINT, SIGTERM);
  systemd::notify("STOPPING=1");
  co_await service.stop();
  beside.request_stop();
  co_await beside.join();
}

}  // namespace

int main(int argc, char** argv) try {
  ringbell::loop lp;
  lp.run(serve(lp, argc > 1 ? argv[1] : "greeter"));
} catch (const std::exception& error) {
  std::fprintf(stderr, "greeter: %s\n", error.what());
  return 1;
}
