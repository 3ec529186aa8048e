// SPDX-License-Identifier: BSL-1.0
// A program that makes a compiler look at all of the native front end, templates included: with the
// warnings of `strict` it must have nothing to say.
#include <ringbell/ringbell.hpp>

#include <array>
#include <chrono>
#include <string>
#include <vector>

namespace {

using namespace ringbell;
using namespace std::chrono_literals;

task<int> value(int i) { co_return i; }
task<int&> reference(int& i) { co_return i; }
task<> nothing() { co_return; }

task<> channels(loop& lp) {
  listener l = listener::bind(lp, "uses");
  auto [accepted, connected] = co_await when_all(l.accept(), connect(lp, "uses"));
  channel ch = std::move(connected);
  co_await ch.send("text");
  co_await ch.send(std::string("text"));
  co_await ch.send(std::vector<std::byte>(3));
  const std::array<std::byte, 4> bytes{};
  co_await ch.send(bytes);
  const std::array<std::span<const std::byte>, 1> pieces{bytes};
  co_await ch.send_gather(pieces);
  claim place = co_await ch.claim(4);
  place.commit();
  const auto m = co_await accepted.recv();
  std::array<std::byte, 64> buffer{};
  const auto size = co_await accepted.recv_into(buffer);
  if (!m || !size) co_return;
  const result<std::optional<message>> received = co_await as_result(accepted.recv());
  const auto first = co_await when_any(value(1), sleep_for(1s), accepted.recv());
  co_await timeout(1s, ch.send("text"));
  if (received.error() == errc::closed || first.index() == 1) co_return;
  const sender::batch together(ch.sender());
  auto [out, in] = std::move(ch).split();
  (void)out.try_send("text");
  (void)in.try_recv();
  (void)out.try_claim(1);
}

task<> services(loop& lp) {
  server s(lp, "uses", [](request r) -> task<reply> {
    while (const auto part = co_await r.read()) co_await r.write(part->bytes());
    co_await r.write(std::string("text"));
    co_await r.write_value(4);
    co_return reply::of(r.as<int>());
  });
  client c = co_await client::connect(lp, "uses");
  c = co_await client::connect(lp, "uses", {.reconnect = reconnect_policy::with_backoff});
  channel ch = co_await connect(lp, "uses", {.ring_bytes = 1 << 20, .timeout = 1s});
  ch.sender().close();
  const payload one = co_await c.call(1, "text", 50ms);
  const payload two = co_await c.call_with(1, 5);
  const payload three = co_await c.call(1, std::string("text"));
  call_stream stream = c.open(1);
  co_await stream.write("text");
  co_await stream.write_value(one.size() + two.size() + three.size());
  stream.finish();
  while (const auto row = co_await stream.read()) co_await stream.write(row->text());
  co_await stream.reply();
  co_await s.stop(1s);
}

task<> others(loop& lp) {
  scope all(lp, (co_await current_context()).stop);
  all.spawn(nothing());
  co_await all.join();
  co_await readable(0);
  co_await writable(1);
  co_await signalled(2, 15);
  co_await yield();
  int x = co_await value(0);
  int& y = co_await reference(x);
  std::vector<task<int>> many;
  many.push_back(value(y));
  for (const int each : co_await when_all(std::move(many))) x += each;
}

}  // namespace

int main() {
  loop lp;
  lp.run(channels(lp));
  lp.run(services(lp));
  lp.run(others(lp));
}
