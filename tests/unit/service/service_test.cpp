// SPDX-License-Identifier: BSL-1.0
// Calls and replies, between a client and a server on one loop.
#include <ringbell/coro/timeout.hpp>

#include <doctest/doctest.h>

#include <cerrno>
#include <stdexcept>
#include <string>
#include <vector>

#include "support/pattern.hpp"
#include "support/service.hpp"

TEST_SUITE("service") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

task<reply> echo(request r) { co_return reply(r.bytes()); }

}  // namespace

TEST_CASE("a call gets the reply to its request, of any size") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, echo);
    client c = co_await s.connected();
    std::vector<std::byte> bytes(3 << 20);
    fill(bytes, 1);
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{1}, std::size_t{64}, std::size_t{72}, std::size_t{73},
          std::size_t{96}, std::size_t{97}, std::size_t{24'000}, std::size_t{25'000},
          std::size_t{100'000}, bytes.size()}) {
      CAPTURE(size);
      const payload p = co_await c.call(echo_method, std::span<const std::byte>(bytes).first(size));
      CHECK(p.size() == size);
      CHECK(matches(p.bytes(), 1));
    }
    CHECK(c.calls() == 0);
  });
}

TEST_CASE("calls and parts keep temporaries until they are awaited") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      std::string all(r.text());
      while (const auto part = co_await r.read()) all += part->text();
      auto text = r.write(std::string(1000, 'p'));
      auto value = r.write_value(std::string(1000, 'v'));
      co_await std::move(text);
      co_await std::move(value);
      co_return reply(std::move(all));
    });
    client c = co_await s.connected();
    auto text = c.call(1, std::string(1000, 'a'));
    auto bytes = c.call(1, std::vector<std::byte>(1000, std::byte{'b'}), 1h);
    auto value = c.call_with(1, std::string(1000, 'c'));
    const std::string parts = std::string(1000, 'p') + std::string(1000, 'v');
    const payload one = co_await std::move(text);
    const payload two = co_await std::move(bytes);
    const payload three = co_await std::move(value);
    CHECK(one.text() == parts + std::string(1000, 'a'));
    CHECK(two.text() == parts + std::string(1000, 'b'));
    CHECK(three.text() == parts + std::string(1000, 'c'));

    call_stream stream = c.open(1);
    auto part = stream.write(std::string(1000, 'd'));
    auto further = stream.write_value(std::vector<std::byte>(1000, std::byte{'e'}));
    co_await std::move(part);
    co_await std::move(further);
    stream.finish();
    while (co_await stream.read()) {}
    const payload four = co_await stream.reply();
    CHECK(four.text() == std::string(1000, 'd') + std::string(1000, 'e'));
  });
}

TEST_CASE("replies overtake each other, and each reaches its own call") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      co_await sleep_for(std::chrono::milliseconds(r.as<int>()));
      co_return reply::of(r.as<int>() + 1000);
    });
    client c = co_await s.connected();
    std::vector<int> order;
    scope calls(lp);
    const auto one = [&](int n) -> task<void> {
      const payload p = co_await c.call_with(7, n);
      CHECK(p.as<int>() == n + 1000);
      order.push_back(n);
    };
    for (const int n : {40, 20, 1}) calls.spawn(one(n));
    co_await calls.join();
    CHECK(order == std::vector<int>{1, 20, 40});
  });
}

TEST_CASE("a handler sees method, metadata, bytes and peer; the client sees the reply's metadata") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      CHECK(r.method() == 42);
      CHECK(r.metadata() == "trace=1");
      CHECK(r.text() == "question");
      CHECK(r.peer().process == static_cast<std::int64_t>(sys::current_process()));
      CHECK_FALSE(r.deadline());
      co_return reply("answer").with_metadata("trace=2");
    });
    client c = co_await s.connected();
    call_options options;
    options.metadata = "trace=1";
    const payload p = co_await c.call(42, "question", options);
    CHECK(p.text() == "answer");
    CHECK(p.metadata() == "trace=2");
  });
}

TEST_CASE("metadata longer than a record of the ring comes without bytes, too") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> { co_return reply().with_metadata(r.metadata()); });
    client_options small;
    small.connection.ring_bytes = small.connection.peer_ring_bytes = 4096;
    client c = co_await s.connected(small);
    const std::string metadata(4096, 'm');
    call_options options;
    options.metadata = metadata;
    const payload p = co_await c.call(1, std::string_view(), options);
    CHECK(p.empty());
    CHECK(p.metadata() == metadata);
  });
}

TEST_CASE("what a handler throws reaches the client: its code, its domain, its text") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      switch (r.method()) {
        case 1: throw call_error(42, "made up");
        case 2: throw std::system_error(ENOENT, std::generic_category(), "opening");
        case 3: throw std::runtime_error("went wrong");
        case 4: throw 5;
        case 5: throw std::system_error(errc::no_such_method);
        case 6: throw std::system_error(errc::peer_closed);  // of some channel of the handler's own
        case 7: throw std::bad_alloc();
        case 8: throw call_error(0, "no code");
        default: co_return reply::failure(7, "returned");
      }
    });
    client c = co_await s.connected();
    const std::pair<std::uint32_t, std::error_code> expected[] = {
        {1, {42, handler_category()}},
        {2, std::make_error_code(std::errc::no_such_file_or_directory)},
        {3, errc::handler_failed},
        {4, errc::handler_failed},
        {5, errc::no_such_method},
        {6, errc::handler_failed},
        {7, std::make_error_code(std::errc::not_enough_memory)},
        {8, errc::handler_failed},
        {9, {7, handler_category()}},
    };
    const char* const texts[] = {"made up", "opening", "went wrong", "no std::exception", "",
                                 "",        "memory",  "no code",    "returned"};
    for (const auto& [method, code] : expected) {
      CAPTURE(method);
      const auto failed = co_await error_of(c.call(method));
      CHECK(failed.first == code);
      CHECK(failed.second.find(texts[method - 1]) != std::string::npos);
      CHECK_FALSE(failed.second.starts_with("(not"));
    }
  });
}

TEST_CASE("metadata longer than 4096 bytes is refused on either side") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request) -> task<reply> {
      co_return reply().with_metadata(std::string(4097, 'm'));
    });
    client c = co_await s.connected();
    const std::string metadata(4097, 'm');
    call_options options;
    options.metadata = metadata;
    const auto mine = co_await error_of(c.call(1, std::string_view(), options));
    CHECK(mine.first == errc::message_too_large);
    CHECK(mine.second.starts_with("(not from the service)"));
    const auto of_server = co_await error_of(c.call(1));
    CHECK(of_server.first == errc::message_too_large);
  });
}

TEST_CASE("a reply longer than the client takes becomes an error that says so") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      if (r.method() == 1) co_return reply(std::string(20'000, 'x'));
      throw call_error(1, std::string(20'000, 'x'));
    });
    client_options options;
    options.connection.max_message = 10'000;
    client c = co_await s.connected(options);
    const auto failed = co_await error_of(c.call(1));
    CHECK(failed.first == errc::message_too_large);
    CHECK_MESSAGE(failed.second.find("10000 bytes") != std::string::npos, failed.second);
    const auto text = co_await error_of(c.call(2));
    CHECK(text.first == std::error_code(1, handler_category()));
    CHECK(text.second.size() == 4096);
  });
}

TEST_CASE("a codec's exception leaves the call at the client, and answers it at the server") {
  on_a_loop([](loop& lp) -> task<void> {
    int begun = 0;
    served s(lp, [&](request r) -> task<reply> {
      ++begun;
      if (r.method() == 1) co_return reply::of(unspeakable{false});
      if (r.method() == 2) (void)r.as<unspeakable>();
      co_return reply(r.bytes());
    });
    client c = co_await s.connected();
    for (const bool of_size : {true, false})
      CHECK_THROWS_WITH_AS(co_await c.call_with(3, unspeakable{of_size}), "unspeakable",
                           std::runtime_error);
    CHECK(begun == 0);
    for (const std::uint32_t method : {1U, 2U}) {
      const auto failed = co_await error_of(c.call(method));
      CHECK(failed.first == errc::handler_failed);
      CHECK(failed.second == "unspeakable");
    }
    const payload p = co_await c.call(3, "abc");
    CHECK(p.text() == "abc");
    CHECK_THROWS_WITH_AS(p.as<unspeakable>(), "unspeakable", std::runtime_error);
  });
}

TEST_CASE("values of plain types travel as they are; one of another size is an error") {
  struct point {
    int x = 0;
    int y = 0;
  };
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      const auto p = r.as<point>();
      co_return reply::of(point{p.y, p.x});
    });
    client c = co_await s.connected();
    const payload p = co_await c.call_with(1, point{1, 2});
    CHECK(p.as<point>().x == 2);
    CHECK(p.as<point>().y == 1);
    CHECK_THROWS_AS(p.as<char>(), std::system_error);
    const auto failed = co_await error_of(c.call(1, "short"));
    CHECK(failed.first == std::make_error_code(std::errc::invalid_argument));
  });
}

TEST_CASE("a reply is written in place, whatever its size") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, [](request r) -> task<reply> {
      co_return reply::in_place(r.as<std::size_t>(),
                                [](std::span<std::byte> into) { fill(into, 4); });
    });
    client c = co_await s.connected();
    for (const std::size_t size :
         {std::size_t{0}, std::size_t{10}, std::size_t{20'000}, std::size_t{2'000'000}}) {
      const payload p = co_await c.call_with(1, size);
      CHECK(p.size() == size);
      CHECK(matches(p.bytes(), 4));
    }
  });
}

TEST_CASE("a reply that is taken a second time is empty") {
  on_a_loop([](loop& lp) -> task<void> {
    served s(lp, echo);
    client c = co_await s.connected();
    const std::string text(1000, 'x');
    call_stream stream = c.open(1, text);
    const payload first = co_await stream.reply();
    CHECK(first.text() == text);
    const payload second = co_await stream.reply();
    CHECK(second.empty());
    CHECK(second.metadata().empty());
  });
}

}  // TEST_SUITE("service")
