// SPDX-License-Identifier: BSL-1.0
// Answers every message with itself, for any number of clients, until Ctrl-C or SIGTERM:
//
//     echo_server [NAME]
#include <ringbell/ringbell.hpp>

#include <csignal>
#include <cstdio>
#include <exception>
#include <string>

namespace {

ringbell::task<> session(ringbell::channel ch) {
  while (auto msg = co_await ch.recv())  // empty when the client has closed
    co_await ch.send(msg->bytes());      // waits only while the ring is full
}

ringbell::task<> serve(ringbell::loop& lp, std::string name) {
  ringbell::scope clients{lp};
  // A client that was killed ends its own session, and nobody else's.
  clients.on_error([](std::exception_ptr error) {
    try {
      std::rethrow_exception(error);
    } catch (const std::exception& e) {
      std::fprintf(stderr, "a session ended: %s\n", e.what());
    }
  });
  auto listener = ringbell::listener::bind(lp, name);
  for (;;) clients.spawn(session(co_await listener.accept()));
}

ringbell::task<> serve_until_signalled(ringbell::loop& lp, std::string name) {
  co_await ringbell::when_any(serve(lp, std::move(name)), ringbell::signalled(SIGINT, SIGTERM));
}

}  // namespace

int main(int argc, char** argv) try {
  ringbell::loop lp;
  lp.run(serve_until_signalled(lp, argc > 1 ? argv[1] : "echo"));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
