// SPDX-License-Identifier: BSL-1.0
// A service of Cap'n Proto RPC, on Unix sockets and in shared memory:
//
//     calculator_server ADDRESS...    each is `unix:PATH`, or a name of ringbell's
//
// A server that uses sockets alone has kj::NetworkAddress::listen() in place of
// ringbell_kj::network. The rest is the same.
#include "ringbell_kj.hpp"

#include <capnp/rpc-twoparty.h>

#include <unistd.h>
#include <csignal>
#include <cstdio>
#include <string>
#include <utility>

#include "calculator.capnp.h"

namespace {

class calculator final : public Calculator::Server {
  kj::Promise<void> add(AddContext context) override {
    const auto values = context.getParams();
    context.getResults().setValue(values.getLeft() + values.getRight());
    return kj::READY_NOW;
  }
  kj::Promise<void> fold(FoldContext context) override { return fold(context, 0, 0); }
  static kj::Promise<void> fold(FoldContext context, kj::uint next, std::int64_t so_far) {
    const auto values = context.getParams().getValues();
    if (next == values.size()) {
      context.getResults().setValue(so_far);
      return kj::READY_NOW;
    }
    auto call = context.getParams().getFunction().callRequest();
    call.setLeft(so_far);
    call.setRight(values[next]);
    return call.send().then(
        [context, next](auto&& reply) { return fold(context, next + 1, reply.getValue()); });
  }
};

kj::Own<kj::ConnectionReceiver> listen(const std::string& address, kj::AsyncIoContext& io,
                                       ringbell_kj::network& shared_memory) {
  if (!address.starts_with("unix:")) return shared_memory.listen(address);
  return io.provider->getNetwork().parseAddress(address).wait(io.waitScope)->listen();
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc < 2) {
    std::fprintf(stderr, "usage: calculator_server ADDRESS...\n");
    return 2;
  }
  kj::UnixEventPort::captureSignal(SIGINT);
  kj::UnixEventPort::captureSignal(SIGTERM);
  kj::AsyncIoContext io = kj::setupAsyncIo();
  ringbell_kj::network shared_memory(io.unixEventPort);
  capnp::TwoPartyServer server(kj::heap<calculator>());
  kj::Vector<kj::Own<kj::ConnectionReceiver>> receivers;
  kj::Promise<void> listening = kj::NEVER_DONE;
  for (int i = 1; i < argc; ++i) {
    receivers.add(listen(argv[i], io, shared_memory));
    listening = listening.exclusiveJoin(server.listen(*receivers.back()));
  }
  listening.exclusiveJoin(io.unixEventPort.onSignal(SIGINT).ignoreResult())
      .exclusiveJoin(io.unixEventPort.onSignal(SIGTERM).ignoreResult())
      .wait(io.waitScope);
  // ringbell removes its socket files, but KJ does not.
  for (int i = 1; i < argc; ++i)
    if (const std::string address = argv[i]; address.starts_with("unix:"))
      ::unlink(address.c_str() + 5);
} catch (const kj::Exception& error) {
  std::fprintf(stderr, "calculator_server: %s\n", error.getDescription().cStr());
  return 1;
}
