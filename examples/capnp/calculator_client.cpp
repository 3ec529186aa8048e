// SPDX-License-Identifier: BSL-1.0
// A client of Cap'n Proto RPC, on a Unix socket or in shared memory:
//
//     calculator_client add ADDRESS LEFT RIGHT
//     calculator_client sum ADDRESS VALUE...    the server calls back for each value
//     calculator_client watch ADDRESS           says when the server has gone
//     calculator_client measure ROUNDS ADDRESS...    how long a call takes, in turn on each address
//
// An address is `unix:PATH`, or a name of ringbell's. A client that uses sockets alone has
// kj::NetworkAddress::connect() in place of ringbell_kj::network. The rest is the same.
#include "ringbell_kj.hpp"

#include <capnp/rpc-twoparty.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "calculator.capnp.h"

namespace {

class adder final : public Calculator::Function::Server {
  kj::Promise<void> call(CallContext context) override {
    const auto values = context.getParams();
    context.getResults().setValue(values.getLeft() + values.getRight());
    return kj::READY_NOW;
  }
};

/// A connection, and the service at its other end.
struct connected {
  explicit connected(kj::Own<kj::AsyncIoStream> through)
      : connection(std::move(through)),
        rpc(*connection),
        service(rpc.bootstrap().castAs<Calculator>()) {}
  std::int64_t add(std::int64_t left, std::int64_t right, kj::WaitScope& wait) {
    auto request = service.addRequest();
    request.setLeft(left);
    request.setRight(right);
    return request.send().wait(wait).getValue();
  }

  kj::Own<kj::AsyncIoStream> connection;
  capnp::TwoPartyClient rpc;
  Calculator::Client service;
};

kj::Own<kj::AsyncIoStream> connect(const std::string& address, kj::AsyncIoContext& io,
                                   ringbell_kj::network& shared_memory) {
  if (!address.starts_with("unix:")) return shared_memory.connect(address).wait(io.waitScope);
  return io.provider->getNetwork()
      .parseAddress(address)
      .wait(io.waitScope)
      ->connect()
      .wait(io.waitScope);
}

using clock = std::chrono::steady_clock;
using microseconds = std::chrono::duration<double, std::micro>;

/// Prints p50 and p99 of the calls' durations.
void report(const char* traffic, const char* address, std::vector<double>& durations) {
  std::sort(durations.begin(), durations.end());
  const auto at = [&](double part) {
    return durations[static_cast<std::size_t>(part * static_cast<double>(durations.size() - 1))];
  };
  std::printf("%-14s %8.1f us p50 %8.1f us p99  %s\n", traffic, at(0.5), at(0.99), address);
}

/// Calls each of the services in turn, some milliseconds at a time, so that other work of the
/// machine slows all of them alike.
void measure(int rounds, std::vector<std::string> addresses, kj::AsyncIoContext& io,
             ringbell_kj::network& shared_memory) {
  struct traffic {
    const char* name;
    int calls;  // in a round
    kj::Duration pause;
  };
  std::vector<kj::Own<connected>> services;
  for (const std::string& address : addresses)
    services.push_back(kj::heap<connected>(connect(address, io, shared_memory)));
  for (const traffic& t : {traffic{"back to back", 200, 0 * kj::MILLISECONDS},
                           traffic{"1 ms between", 10, 1 * kj::MILLISECONDS}}) {
    std::vector<std::vector<double>> durations(addresses.size());
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < addresses.size(); ++i) {
        for (int call = 0; call < t.calls; ++call) {
          if (t.pause > 0 * kj::MILLISECONDS)
            io.provider->getTimer().afterDelay(t.pause).wait(io.waitScope);
          const clock::time_point begun = clock::now();
          if (services[i]->add(call, 1, io.waitScope) != call + 1)
            KJ_FAIL_REQUIRE("a wrong answer");
          durations[i].push_back(microseconds(clock::now() - begun).count());
        }
      }
    }
    for (std::size_t i = 0; i < addresses.size(); ++i)
      report(t.name, addresses[i].c_str(), durations[i]);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  kj::AsyncIoContext io = kj::setupAsyncIo();
  ringbell_kj::network shared_memory(io.unixEventPort);
  const std::string what = argc > 2 ? argv[1] : "";
  if (what == "add" && argc == 5) {
    connected to(connect(argv[2], io, shared_memory));
    std::printf("%lld\n", static_cast<long long>(
                              to.add(std::atoll(argv[3]), std::atoll(argv[4]), io.waitScope)));
  } else if (what == "sum") {
    connected to(connect(argv[2], io, shared_memory));
    auto request = to.service.foldRequest();
    auto values = request.initValues(static_cast<kj::uint>(argc - 3));
    for (kj::uint i = 0; i < values.size(); ++i) values.set(i, std::atoll(argv[i + 3]));
    request.setFunction(kj::heap<adder>());
    std::printf("%lld\n", static_cast<long long>(request.send().wait(io.waitScope).getValue()));
  } else if (what == "watch" && argc == 3) {
    connected to(connect(argv[2], io, shared_memory));
    to.add(1, 1, io.waitScope);
    std::printf("connected\n");
    std::fflush(stdout);
    to.rpc.onDisconnect().wait(io.waitScope);
    std::printf("the server has gone\n");
  } else if (what == "measure" && std::atoi(argv[2]) > 0) {
    measure(std::atoi(argv[2]), {argv + 3, argv + argc}, io, shared_memory);
  } else {
    std::fprintf(stderr, "usage: calculator_client add ADDRESS LEFT RIGHT | sum ADDRESS VALUE... | "
                         "watch ADDRESS | measure ROUNDS ADDRESS...\n");
    return 2;
  }
} catch (const kj::Exception& error) {
  std::fprintf(stderr, "calculator_client: %s\n", error.getDescription().cStr());
  return 1;
}
