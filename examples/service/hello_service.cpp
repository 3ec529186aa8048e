// SPDX-License-Identifier: BSL-1.0
// A service, and a client that calls it: request and reply, typed values, an error, a deadline.
// hello_service serve [NAME] in one terminal, hello_service call [NAME] in another.
#include <ringbell/ringbell.hpp>

#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <string>
#include <string_view>
#include <system_error>

namespace {

using namespace std::chrono_literals;

constexpr std::uint32_t greet = ringbell::method_id("greet");
constexpr std::uint32_t divide = ringbell::method_id("divide");
constexpr std::uint32_t ponder = ringbell::method_id("ponder");

// Plain structs travel as they are: both sides are on one machine.
struct fraction {
  std::int32_t above;
  std::int32_t below;
};
constexpr int division_by_zero = 1;

ringbell::task<ringbell::reply> answer(ringbell::request r) {
  switch (r.method()) {
    case greet: co_return ringbell::reply("hello, " + std::string(r.text()));
    case divide: {
      const auto f = r.as<fraction>();
      if (f.below == 0) throw ringbell::call_error(division_by_zero, "nothing can be divided by 0");
      co_return ringbell::reply::of(static_cast<double>(f.above) / f.below);
    }
    case ponder:
      co_await ringbell::sleep_for(
          1h);  // ends when the client gives up: every wait sees the call's stop token
  }
  throw std::system_error(ringbell::errc::no_such_method);
}

ringbell::task<> serve(ringbell::loop& lp, std::string name) {
  ringbell::server service(lp, name, answer);
  co_await ringbell::signalled(SIGINT, SIGTERM);
  co_await service.stop();
}

ringbell::task<> call(ringbell::loop& lp, std::string name) {
  ringbell::client service = co_await ringbell::client::connect(lp, name);

  const ringbell::payload greeting = co_await service.call(greet, "world");
  std::printf("%.*s\n", static_cast<int>(greeting.size()), greeting.text().data());

  const fraction f{7, 2};
  const ringbell::payload ratio = co_await service.call_with(divide, f);
  std::printf("7 / 2 = %g\n", ratio.as<double>());

  try {
    const fraction none{7, 0};
    co_await service.call_with(divide, none);
  } catch (const ringbell::call_error& error) {  // what the handler threw
    std::printf("7 / 0: error %d, %s\n", error.code().value(), error.what());
  }

  try {
    co_await service.call(ponder, "", 50ms);
  } catch (const std::system_error& error) {
    if (error.code() != ringbell::errc::timed_out) throw;
    std::printf("no answer in time\n");
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view side = argc > 1 ? argv[1] : "";
  const std::string name = argc > 2 ? argv[2] : "hello";
  if (side != "serve" && side != "call") {
    std::fprintf(stderr, "usage: hello_service serve|call [NAME]\n");
    return 2;
  }
  ringbell::loop lp;
  lp.run(side == "serve" ? serve(lp, name) : call(lp, name));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
