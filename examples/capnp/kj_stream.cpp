// SPDX-License-Identifier: BSL-1.0
// Checks that ringbell_kj.hpp keeps the contract of a kj::AsyncIoStream: kj_stream PATH
#include "ringbell_kj.hpp"

#include <kj/async-io.h>
#include <kj/debug.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

namespace {

/// Two ends of one connection, in the same loop.
struct pair {
  pair(ringbell_kj::network& net, kj::ConnectionReceiver& at, const std::string& name,
       kj::WaitScope& wait) {
    auto accepting = at.accept();
    client = net.connect(name).wait(wait);
    server = accepting.wait(wait);
  }
  kj::Own<kj::AsyncIoStream> client, server;
};

kj::ArrayPtr<const kj::byte> bytes(std::string_view text) {
  return kj::StringPtr(text.data(), text.size()).asBytes();
}

void expect_disconnected(kj::Promise<void> promise, kj::WaitScope& wait) {
  const auto error = kj::runCatchingExceptions([&] { promise.wait(wait); });
  KJ_IF_MAYBE (e, error)
    KJ_REQUIRE(e->getType() == kj::Exception::Type::DISCONNECTED, *e);
  else
    KJ_FAIL_REQUIRE("it did not fail");
}

std::string read(kj::AsyncIoStream& from, std::size_t least, std::size_t most,
                 kj::WaitScope& wait) {
  std::string into(most, '\0');
  into.resize(from.tryRead(into.data(), least, most).wait(wait));
  return into;
}

void reads_least_and_most(pair p, kj::WaitScope& wait) {
  p.client->write("hello", 5).wait(wait);
  KJ_REQUIRE(read(*p.server, 1, 100, wait) == "hello");
  p.client->write("0123456789", 10).wait(wait);
  KJ_REQUIRE(read(*p.server, 1, 4, wait) == "0123");
  KJ_REQUIRE(read(*p.server, 6, 6, wait) == "456789");
  std::string into(3, '\0');
  auto three = p.server->tryRead(into.data(), 3, 3);
  for (const char* one : {"a", "b", "c"}) {
    KJ_REQUIRE(!three.poll(wait));
    p.client->write(one, 1).wait(wait);
  }
  KJ_REQUIRE(three.wait(wait) == 3 && into == "abc");
}

void writes_pieces(pair p, kj::WaitScope& wait) {
  const kj::ArrayPtr<const kj::byte> pieces[] = {bytes("one "), bytes(""), bytes("two "),
                                                 bytes("three")};
  p.client->write(kj::arrayPtr(pieces, 4)).wait(wait);
  KJ_REQUIRE(read(*p.server, 13, 100, wait) == "one two three");
}

void cancelled_read_loses_nothing(pair p, kj::WaitScope& wait) {
  auto into = kj::heapArray<kj::byte>(10);
  auto ten = p.server->tryRead(into.begin(), 10, 10);
  p.client->write("abc", 3).wait(wait);
  KJ_REQUIRE(!ten.poll(wait));  // three are in the buffer
  ten = nullptr;
  into = nullptr;
  p.client->write("def", 3).wait(wait);
  KJ_REQUIRE(read(*p.server, 6, 100, wait) == "abcdef");
  // This read has not begun.
  into = kj::heapArray<kj::byte>(1);
  { auto cancelled = p.server->tryRead(into.begin(), 1, 1); }
  into = nullptr;
  p.client->write("g", 1).wait(wait);
  KJ_REQUIRE(read(*p.server, 1, 100, wait) == "g");
}

void cancelled_write_needs_no_buffer(pair p, kj::WaitScope& wait) {
  auto much = kj::heapArray<kj::byte>(16 << 20);
  for (std::size_t i = 0; i < much.size(); ++i) much[i] = static_cast<kj::byte>(i % 251);
  auto writing = p.client->write(much.begin(), much.size());
  KJ_REQUIRE(!writing.poll(wait));
  writing = nullptr;
  much = nullptr;
  p.client->shutdownWrite();
  const auto came = p.server->readAllBytes().wait(wait);
  KJ_REQUIRE(came.size() > 0 && came.size() < 16 << 20);
  for (std::size_t i = 0; i < came.size(); ++i) KJ_REQUIRE(came[i] == i % 251);
}

void writing_ends_alone(pair p, kj::WaitScope& wait) {
  p.client->write("last", 4).wait(wait);
  p.client->shutdownWrite();
  KJ_REQUIRE(read(*p.server, 10, 10, wait) == "last");
  KJ_REQUIRE(read(*p.server, 1, 10, wait).empty());
  p.server->write("answer", 6).wait(wait);
  KJ_REQUIRE(read(*p.client, 6, 10, wait) == "answer");
}

void reading_is_aborted(pair p, kj::WaitScope& wait) {
  kj::byte into = 0;
  auto pending = p.server->tryRead(&into, 1, 1);
  KJ_REQUIRE(!pending.poll(wait));
  p.server->abortRead();
  KJ_REQUIRE(kj::runCatchingExceptions([&] { pending.wait(wait); }) != nullptr);
  // The writer learns of it when it looks for space.
  auto writes = [&](auto again) -> kj::Promise<void> {
    return p.client->write("x", 1).then([again] { return again(again); });
  };
  auto told = p.client->whenWriteDisconnected();
  expect_disconnected(writes(writes), wait);
  told.wait(wait);
  p.server->write("answer", 6).wait(wait);
  KJ_REQUIRE(read(*p.client, 6, 10, wait) == "answer");
}

void much_both_ways(pair p, kj::WaitScope& wait) {
  const std::string up(5 << 20, 'u'), down(7 << 20, 'd');
  auto writes = kj::heapArrayBuilder<kj::Promise<void>>(2);
  writes.add(p.client->write(up.data(), up.size()).then([&] { p.client->shutdownWrite(); }));
  writes.add(p.server->write(down.data(), down.size()).then([&] { p.server->shutdownWrite(); }));
  auto written = kj::joinPromises(writes.finish()).eagerlyEvaluate(nullptr);
  auto downwards = p.client->readAllText().eagerlyEvaluate(nullptr);
  KJ_REQUIRE(p.server->readAllText().wait(wait) == up.c_str());
  KJ_REQUIRE(downwards.wait(wait) == down.c_str());
  written.wait(wait);
}

/// KJ's timers and sockets have their turn, although the ring is never silent.
void others_have_their_turn(pair p, kj::AsyncIoContext& io) {
  auto pipe = io.provider->newTwoWayPipe();
  kj::byte into = 0;
  bool fired = false, came = false;
  auto timer = io.provider->getTimer()
                   .afterDelay(20 * kj::MILLISECONDS)
                   .then([&] {
                     fired = true;
                     return pipe.ends[0]->write("x", 1);
                   })
                   .eagerlyEvaluate(nullptr);
  auto socket = pipe.ends[1]->read(&into, 1).then([&] { came = true; }).eagerlyEvaluate(nullptr);
  while (!fired || !came) {
    p.client->write("ping", 4).wait(io.waitScope);
    KJ_REQUIRE(read(*p.server, 4, 4, io.waitScope) == "ping");
  }
}

/// Runs in a child: says hello, waits for an answer, and dies.
[[noreturn]] void victim(const std::string& name, int listening) {
  char now = 0;
  if (::read(listening, &now, 1) != 1) std::_Exit(1);
  kj::AsyncIoContext io = kj::setupAsyncIo();
  ringbell_kj::network net(io.unixEventPort);
  auto server = net.connect(name).wait(io.waitScope);
  server->write("hello", 5).wait(io.waitScope);
  server->tryRead(&now, 1, 1).wait(io.waitScope);
  ::kill(::getpid(), SIGKILL);
  std::_Exit(1);
}

void peer_dies(kj::ConnectionReceiver& at, int tell_to_connect, kj::WaitScope& wait) {
  KJ_SYSCALL(::write(tell_to_connect, "x", 1));
  auto client = at.accept().wait(wait);
  auto gone = client->whenWriteDisconnected();
  KJ_REQUIRE(read(*client, 5, 5, wait) == "hello");
  KJ_REQUIRE(!gone.poll(wait));
  client->write("x", 1).wait(wait);
  gone.wait(wait);  // no read is pending
  client->whenWriteDisconnected().wait(wait);
  expect_disconnected(client->write("x", 1), wait);
  kj::byte into = 0;
  expect_disconnected(client->tryRead(&into, 1, 1).ignoreResult(), wait);
}

}  // namespace

int main(int argc, char** argv) try {
  if (argc != 2) {
    std::fprintf(stderr, "usage: kj_stream PATH\n");
    return 2;
  }
  const std::string name = argv[1];
  int pipe[2];
  KJ_SYSCALL(::pipe(pipe));
  const pid_t child = ::fork();  // before there is a loop
  KJ_REQUIRE(child >= 0);
  if (child == 0) {
    ::close(pipe[1]);
    victim(name, pipe[0]);
  }
  kj::AsyncIoContext io = kj::setupAsyncIo();
  ringbell_kj::network net(io.unixEventPort, {.spin = ringbell::spin_policy::adaptive});
  auto at = net.listen(name);
  const auto connected = [&] { return pair(net, *at, name, io.waitScope); };
  reads_least_and_most(connected(), io.waitScope);
  writes_pieces(connected(), io.waitScope);
  cancelled_read_loses_nothing(connected(), io.waitScope);
  cancelled_write_needs_no_buffer(connected(), io.waitScope);
  writing_ends_alone(connected(), io.waitScope);
  reading_is_aborted(connected(), io.waitScope);
  much_both_ways(connected(), io.waitScope);
  others_have_their_turn(connected(), io);
  peer_dies(*at, pipe[1], io.waitScope);
  KJ_SYSCALL(::waitpid(child, nullptr, 0));
  std::printf("ok\n");
} catch (const kj::Exception& error) {
  std::fprintf(stderr, "%s\n", kj::str(error).cStr());
  return 1;
}
