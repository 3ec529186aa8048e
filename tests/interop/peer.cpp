// SPDX-License-Identifier: BSL-1.0
//
// The C++ side of the tests against the second implementation, where `ringbell` itself has no
// command for it. It serves one client, or is one.
//
//   peer echo PATH [OPTION...]         sends back every message of one client
//   peer talk PATH [OPTION...]         sends messages of random sizes, and compares each answer
//   peer stream-echo PATH [OPTION...]  sends back all bytes of one client
//   peer stream-talk PATH [OPTION...]  sends random bytes, and compares what comes back
//
//   bells=eventfd,socket,futex  what may wake this side
//   ring=BYTES                  the ring of this side
//   longest=BYTES               the longest message that this side receives
//   count=N largest=BYTES       of `talk`: how many messages; of `stream-talk`: how many bytes
//   pause=MICROSECONDS          the longest of the random pauses before a message is answered, or
//                               the next one sent
//   seed=N                      of sizes, bytes and pauses
//
// It prints `listening` or `connected`, at the end `done`, and `failed: ERROR` when the channel
// broke. The exit status is 0 after `done`, 1 after `failed`, 2 for bad usage.
#include <ringbell/channel.hpp>
#include <ringbell/channel/stream_listener.hpp>
#include <ringbell/coro.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/sys/bell_kind.hpp>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <span>
#include <stdexcept>
#include <string>
#include <string_view>
#include <system_error>
#include <vector>

using namespace ringbell;

namespace {

struct options {
  std::string path;
  sys::bell_set bells = detail::default_bells;
  std::uint64_t ring = 4096;
  std::uint64_t longest = std::uint64_t{64} << 20;
  std::uint64_t count = 100;
  std::uint64_t largest = 20000;
  std::uint64_t pause = 0;
  std::uint64_t seed = 1;

  connect_options for_connect() const {
    connect_options how;
    how.ring_bytes = ring;
    how.max_message = longest;
    how.bells = bells;
    how.timeout = std::chrono::seconds(20);
    return how;
  }
  listener_options for_listener() const {
    listener_options how;
    how.default_ring_bytes = ring;
    how.max_message = longest;
    how.bells = bells;
    how.handshake_timeout = std::chrono::seconds(20);
    return how;
  }
};

void say(const char* what) {
  std::puts(what);
  std::fflush(stdout);
}

class chance {
public:
  explicit chance(const options& of) : engine_(of.seed), pause_(of.pause) {}
  std::uint64_t up_to(std::uint64_t most) { return engine_() % (most + 1); }
  std::vector<std::byte> bytes(std::size_t n) {
    std::vector<std::byte> made(n);
    for (std::byte& b : made) b = static_cast<std::byte>(engine_() >> 32);
    return made;
  }
  /// Half of all sizes are small, because small records are handled differently.
  std::size_t size(std::uint64_t largest) {
    return up_to(up_to(1) != 0 ? std::min<std::uint64_t>(largest, 128) : largest);
  }
  task<> pause() {
    if (pause_ != 0) co_await sleep_for(std::chrono::microseconds(up_to(pause_)));
  }

private:
  std::mt19937_64 engine_;
  std::uint64_t pause_;
};

bool same(std::span<const std::byte> a, std::span<const std::byte> b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size()) == 0);
}

task<> echo(loop& lp, const options& how) {
  listener from = listener::bind(lp, how.path, how.for_listener());
  say("listening");
  channel ch = co_await from.accept();
  chance random(how);
  while (auto m = co_await ch.recv()) {
    co_await random.pause();
    co_await ch.send(m->bytes());
  }
}

task<> talk(loop& lp, const options& how) {
  channel ch = co_await connect(lp, how.path, how.for_connect());
  say("connected");
  chance random(how);
  for (std::uint64_t i = 0; i < how.count; ++i) {
    const std::vector<std::byte> message = random.bytes(random.size(how.largest));
    co_await random.pause();
    co_await ch.send(std::span<const std::byte>(message));
    const auto answer = co_await ch.recv();
    if (!answer) throw std::system_error(errc::end_of_stream);
    if (!same(answer->bytes(), message)) throw std::runtime_error("another message came back");
  }
  ch.sender().close();
  if (co_await ch.recv()) throw std::runtime_error("a message came that nobody has sent");
}

task<> stream_echo(loop& lp, const options& how) {
  auto from = stream_listener::bind(lp, how.path, how.for_listener());
  say("listening");
  stream s = co_await from.accept();
  chance random(how);
  std::vector<std::byte> buffer(how.largest);
  while (const std::size_t n = co_await s.read_some(buffer)) {
    co_await random.pause();
    co_await s.write_all(std::span<const std::byte>(buffer).first(n));
  }
  s.shutdown();
}

task<> write_all(stream& to, std::span<const std::byte> bytes, const options& how) {
  chance random(how);
  while (!bytes.empty()) {
    const std::size_t n = std::min(bytes.size(), 1 + random.size(how.largest));
    co_await random.pause();
    co_await to.write_all(bytes.first(n));
    bytes = bytes.subspan(n);
  }
  to.shutdown();
}

task<> stream_talk(loop& lp, const options& how) {
  stream s = co_await connect_stream(lp, how.path, how.for_connect());
  say("connected");
  const std::vector<std::byte> sent = chance(how).bytes(how.count);
  scope writing(lp);
  writing.spawn(write_all(s, sent, how));
  std::vector<std::byte> came(sent.size());
  const std::size_t n = co_await s.read_exactly(came);
  co_await writing.join();
  if (n != sent.size() || !same(came, sent)) throw std::runtime_error("other bytes came back");
  std::byte more{};
  if (co_await s.read_some(std::span(&more, 1)) != 0)
    throw std::runtime_error("a byte came that nobody has sent");
}

std::uint64_t number(std::string_view text) {
  std::uint64_t n = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), n);
  if (error != std::errc() || end != text.data() + text.size())
    throw std::invalid_argument("no number: " + std::string(text));
  return n;
}

sys::bell_set bells(std::string_view names) {
  sys::bell_set all = 0;
  for (const auto kind : {sys::bell_kind::eventfd, sys::bell_kind::socket, sys::bell_kind::futex})
    if (names.find(sys::name_of(kind)) != names.npos) all |= sys::bell_bit(kind);
  return all;
}

options parse(std::span<char*> words) {
  options how;
  how.path = words[0];
  for (const std::string_view word : words.subspan(1)) {
    const std::size_t at = word.find('=');
    const std::string_view key = word.substr(0, at);
    const std::string_view value = at == word.npos ? std::string_view() : word.substr(at + 1);
    if (key == "bells")
      how.bells = bells(value);
    else if (key == "ring")
      how.ring = number(value);
    else if (key == "longest")
      how.longest = number(value);
    else if (key == "count")
      how.count = number(value);
    else if (key == "largest")
      how.largest = number(value);
    else if (key == "pause")
      how.pause = number(value);
    else if (key == "seed")
      how.seed = number(value);
    else
      throw std::invalid_argument("no option: " + std::string(word));
  }
  return how;
}

task<> run(loop& lp, std::string_view what, const options& how) {
  if (what == "echo") return echo(lp, how);
  if (what == "talk") return talk(lp, how);
  if (what == "stream-echo") return stream_echo(lp, how);
  if (what == "stream-talk") return stream_talk(lp, how);
  throw std::invalid_argument("no command: " + std::string(what));
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fputs("usage: peer echo|talk|stream-echo|stream-talk PATH [OPTION=VALUE...]\n", stderr);
    return 2;
  }
  try {
    const options how = parse(std::span(argv, static_cast<std::size_t>(argc)).subspan(2));
    loop lp;
    lp.run(run(lp, argv[1], how));
  } catch (const std::invalid_argument& error) {
    std::fprintf(stderr, "peer: %s\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::printf("failed: %s\n", error.what());
    return 1;
  }
  say("done");
  return 0;
}
