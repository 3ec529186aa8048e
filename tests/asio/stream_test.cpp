// SPDX-License-Identifier: BSL-1.0
// Streams of bytes as Asio's own algorithms use them.
#include <ringbell/asio.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <span>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "support/asio.hpp"
#include "support/asio_streams.hpp"
#include "support/pattern.hpp"

TEST_SUITE("asio stream") {

using namespace ringbell;
using namespace ringbell::test;

namespace {

net::awaitable<void> write_pieces(asio_stream& to, std::size_t total, std::uint64_t seed,
                                  std::size_t longest) {
  const auto bytes = patterned(total, seed);
  pattern sizes(seed + 100);
  for (std::size_t at = 0; at < total;) {
    const std::size_t n = std::min(total - at, std::size_t{1} + sizes.next() % longest);
    const std::array<net::const_buffer, 2> pieces{
        net::buffer(bytes.data() + at, n / 3), net::buffer(bytes.data() + at + n / 3, n - n / 3)};
    CHECK(co_await net::async_write(to, pieces, net::use_awaitable) == n);
    at += n;
  }
  to.shutdown(net::socket_base::shutdown_send);
}

net::awaitable<void> read_to_end(asio_stream& from, std::size_t total, std::uint64_t seed,
                                 std::size_t longest) {
  std::vector<std::byte> all(total);
  pattern sizes(seed + 200);
  std::size_t have = 0;
  while (have < total) {
    const std::size_t room = std::min(total - have, std::size_t{1} + sizes.next() % longest);
    const std::size_t n =
        co_await from.async_read_some(net::buffer(all.data() + have, room), net::use_awaitable);
    REQUIRE(n != 0);
    have += n;
  }
  CHECK(matches(all, seed));
  net_error_code error;
  std::byte more;
  co_await from.async_read_some(net::buffer(&more, 1),
                                net::redirect_error(net::use_awaitable, error));
  CHECK(error == net::error::eof);
}

std::string read_now(asio_streams& s, asio_stream& from, std::size_t most) {
  std::string text(most, '\0');
  bool ended = false;
  from.async_read_some(net::buffer(text), [&](net_error_code error, std::size_t n) {
    text = error ? error.message() : text.substr(0, n);
    ended = true;
  });
  REQUIRE(run_until(s.context, [&] { return ended; }));
  return text;
}

void write_now(asio_streams& s, asio_stream& to, const std::string& text) {
  bool ended = false;
  net::async_write(to, net::buffer(text), [&](net_error_code error, std::size_t n) {
    CHECK_FALSE(error);
    CHECK(n == text.size());
    ended = true;
  });
  REQUIRE(run_until(s.context, [&] { return ended; }));
}

}  // namespace

TEST_CASE("async_read_some and async_write carry everything, both ways at once") {
  for (const std::size_t longest : {5, 300, 50'000}) {
    asio_streams s;
    const std::size_t total = longest < 100 ? 20'000 : 300'000;
    net::co_spawn(s.context, write_pieces(s.client, total, 1, longest), rethrow);
    net::co_spawn(s.context, read_to_end(s.server, total, 1, 9000), rethrow);
    net::co_spawn(s.context, write_pieces(s.server, total, 2, longest), rethrow);
    net::co_spawn(s.context, read_to_end(s.client, total, 2, 77), rethrow);
    s.context.run();
  }
}

TEST_CASE("async_read fills its buffers, and async_read_until finds the end of a line") {
  asio_streams s;
  std::array<char, 3> head{};
  std::array<char, 4> tail{};
  const std::array<net::mutable_buffer, 2> buffers{net::buffer(head), net::buffer(tail)};
  std::size_t read = 0;
  net::async_read(s.server, buffers, [&](net_error_code error, std::size_t n) {
    CHECK_FALSE(error);
    read = n;
  });
  write_now(s, s.client, "ab");
  CHECK(read == 0);
  write_now(s, s.client, "cdefgfirst line\nsecond");
  REQUIRE(run_until(s.context, [&] { return read == 7; }));
  CHECK(std::string(head.data(), 3) + std::string(tail.data(), 4) == "abcdefg");

  std::string lines;
  std::size_t end = 0;
  const auto next_line = [&] {
    end = 0;
    net::async_read_until(s.server, net::dynamic_buffer(lines), '\n',
                          [&](net_error_code error, std::size_t n) {
                            CHECK_FALSE(error);
                            end = n;
                          });
  };
  next_line();
  REQUIRE(run_until(s.context, [&] { return end != 0; }));
  CHECK(lines.substr(0, end) == "first line\n");
  lines.erase(0, end);
  next_line();
  write_now(s, s.client, " line\n");
  REQUIRE(run_until(s.context, [&] { return end != 0; }));
  CHECK(lines == "second line\n");
}

TEST_CASE("operations without bytes end at once, but not within the initiating function") {
  asio_streams s;
  int ended = 0;
  s.server.async_read_some(net::mutable_buffer(), [&](net_error_code error, std::size_t n) {
    CHECK_FALSE(error);
    CHECK(n == 0);
    ++ended;
  });
  s.server.async_write_some(net::const_buffer(), [&](net_error_code error, std::size_t n) {
    CHECK_FALSE(error);
    CHECK(n == 0);
    ++ended;
  });
  CHECK(ended == 0);
  s.context.run();
  CHECK(ended == 2);
}

TEST_CASE("what is there is read by the operation, and its handler is called later") {
  asio_streams s;
  write_now(s, s.client, "x");
  bool ended = false;
  std::array<char, 8> buffer{};
  s.server.async_read_some(net::buffer(buffer), [&](net_error_code, std::size_t) { ended = true; });
  CHECK_FALSE(ended);
  REQUIRE(run_until(s.context, [&] { return ended; }));
}

TEST_CASE("after a shutdown the peer reads the rest, then eof, and can still write") {
  asio_streams s;
  write_now(s, s.client, "the rest");
  s.client.shutdown(net::socket_base::shutdown_send);
  CHECK(read_now(s, s.server, 4) == "the ");
  CHECK(read_now(s, s.server, 100) == "rest");
  CHECK(read_now(s, s.server, 100) == net_error_code(net::error::eof).message());
  write_now(s, s.server, "an answer");
  CHECK(read_now(s, s.client, 100) == "an answer");
  net_error_code error;
  s.server.shutdown(net::socket_base::shutdown_both, error);
  CHECK_FALSE(error);
  CHECK(read_now(s, s.client, 100) == net_error_code(net::error::eof).message());
  s.client.close(error);
  CHECK_FALSE(error);
  s.client.shutdown(net::socket_base::shutdown_send, error);
  CHECK(error == net::error::bad_descriptor);
}

TEST_CASE("a stream that is aborted is no end: the peer reads the rest, then connection_reset") {
  asio_streams s;
  write_now(s, s.client, "most of it");
  net_error_code aborted;
  char byte = 0;
  s.client.async_read_some(net::buffer(&byte, 1),
                           [&](net_error_code error, std::size_t) { aborted = error; });
  s.client.abort();
  CHECK_FALSE(s.client.is_open());
  s.client.abort();
  CHECK(read_now(s, s.server, 4) == "most");
  CHECK(read_now(s, s.server, 100) == " of it");
  CHECK(aborted == net::error::operation_aborted);
  bool ended = false;
  s.server.async_read_some(net::buffer(&byte, 1), [&](net_error_code error, std::size_t n) {
    CHECK(error == net::error::connection_reset);
    CHECK(n == 0);
    ended = true;
  });
  REQUIRE(run_until(s.context, [&] { return ended; }));
  ended = false;
  s.server.async_write_some(net::buffer(&byte, 1), [&](net_error_code error, std::size_t) {
    CHECK(error == net::error::connection_reset);
    ended = true;
  });
  REQUIRE(run_until(s.context, [&] { return ended; }));
}

TEST_CASE("a peer that no longer reads lets writes fail") {
  asio_streams s;
  s.server.shutdown(net::socket_base::shutdown_receive);
  net_error_code error;
  std::size_t written = 0;
  const auto write = [&](const auto& again) -> void {
    s.client.async_write_some(net::buffer("x", 1), [&, again](net_error_code e, std::size_t n) {
      error = e;
      written += n;
      if (!error) again(again);
    });
  };
  write(write);
  REQUIRE(run_until(s.context, [&] { return static_cast<bool>(error); }));
  CHECK(error == net::error::connection_reset);
}

TEST_CASE("a read that is cancelled takes nothing, and a write that is cancelled writes nothing") {
  asio_streams s;
  net::cancellation_signal stop;
  std::array<char, 8> buffer{};
  net_error_code error;
  s.server.async_read_some(
      net::buffer(buffer),
      net::bind_cancellation_slot(stop.slot(), [&](net_error_code e, std::size_t n) {
        error = e;
        CHECK(n == 0);
      }));
  s.context.poll();
  stop.emit(net::cancellation_type::total);
  REQUIRE(run_until(s.context, [&] { return static_cast<bool>(error); }));
  CHECK(error == net::error::operation_aborted);
  write_now(s, s.client, "whole");
  CHECK(read_now(s, s.server, 100) == "whole");

  const std::vector<std::byte> block(4000);
  std::size_t written = 0;
  int calls = 0;
  const auto write = [&] {
    s.client.async_write_some(
        net::buffer(block),
        net::bind_cancellation_slot(stop.slot(), [&](net_error_code e, std::size_t n) {
          error = e;
          written += n;
          ++calls;
        }));
  };
  error = {};
  for (int i = 1; !error; ++i) {
    write();
    s.context.restart();
    s.context.poll();
    if (calls != i) stop.emit(net::cancellation_type::total);
    REQUIRE(run_until(s.context, [&] { return calls == i; }));
  }
  CHECK(error == net::error::operation_aborted);
  CHECK(s.client.statistics().bytes_sent == 5 + written);
}

TEST_CASE("one read and one write may be pending, and a second one of a kind is busy") {
  asio_streams s;
  std::array<char, 8> buffer{};
  int calls = 0;
  std::size_t read = 0;
  s.server.async_read_some(net::buffer(buffer), [&](net_error_code error, std::size_t n) {
    CHECK_FALSE(error);
    read = n;
  });
  const auto busy = [&](const net_error_code& error, auto&&) {
    CHECK(std_error(error) == errc::busy);
    ++calls;
  };
  s.server.async_read_some(net::buffer(buffer), busy);
  s.server.async_read_view(busy);
  write_now(s, s.server, "the other way");
  REQUIRE(run_until(s.context, [&] { return calls == 2; }));
  write_now(s, s.client, "now");
  REQUIRE(run_until(s.context, [&] { return read == 3; }));
}

TEST_CASE("a view gives the bytes in place, and keeps what was not consumed") {
  asio_streams s;
  write_now(s, s.client, "key: value\nrest");
  std::string seen;
  const auto view = [&] {
    seen.clear();
    s.server.async_read_view([&](net_error_code error, net::const_buffer there) {
      CHECK_FALSE(error);
      seen.assign(static_cast<const char*>(there.data()), there.size());
    });
    REQUIRE(run_until(s.context, [&] { return !seen.empty(); }));
    return seen;
  };
  CHECK(view() == "key: value\nrest");
  s.server.consume(11);
  CHECK(view() == "rest");
  CHECK(read_now(s, s.server, 2) == "re");
  CHECK(view() == "st");
}

TEST_CASE("a stream that moves ends its pending operations, and keeps its bytes") {
  asio_streams s;
  write_now(s, s.client, "one two");
  CHECK(read_now(s, s.server, 4) == "one ");
  asio_stream moved = std::move(s.server);
  s.server.consume(100);  // has no effect on what has moved
  CHECK(read_now(s, moved, 100) == "two");
  std::array<char, 8> buffer{};
  net_error_code error;
  moved.async_read_some(net::buffer(buffer), [&](net_error_code e, std::size_t) { error = e; });
  s.context.restart();
  s.context.poll();
  s.server = std::move(moved);
  REQUIRE(run_until(s.context, [&] { return static_cast<bool>(error); }));
  CHECK(error == net::error::operation_aborted);
  write_now(s, s.client, "three");
  CHECK(read_now(s, s.server, 100) == "three");
}

TEST_CASE("the blocking calls of two threads carry everything") {
  asio_streams s;
  const std::size_t total = 3'000'000;
  std::thread writer([&] {
    const auto bytes = patterned(total, 9);
    CHECK(net::write(s.client, net::buffer(bytes)) == total);
    s.client.shutdown(net::socket_base::shutdown_send);
  });
  std::vector<std::byte> all(total);
  CHECK(net::read(s.server, net::buffer(all)) == total);
  CHECK(matches(all, 9));
  net_error_code error;
  CHECK(s.server.read_some(net::buffer(all), error) == 0);
  CHECK(error == net::error::eof);
  CHECK_THROWS_AS((void)s.server.read_some(net::buffer(all)), net_system_error);
  writer.join();
  CHECK(s.server.read_some(net::mutable_buffer(), error) == 0);
  CHECK_FALSE(error);
}

TEST_CASE("a blocking read sleeps until the other thread writes, and is woken by its end") {
  asio_streams s;
  s.server.spin(spin_policy::none);
  std::string text(10, '\0');
  std::thread reader([&] {
    text.resize(s.server.read_some(net::buffer(text)));
    net_error_code error;
    std::byte more;
    s.server.read_some(net::buffer(&more, 1), error);
    CHECK(error == net::error::eof);
  });
  while (s.server.statistics().parks == 0) std::this_thread::yield();
  net::write(s.client, net::buffer("wake up", 7));
  while (s.server.statistics().parks == 1) std::this_thread::yield();
  s.client.close();
  reader.join();
  CHECK(text == "wake up");
}

TEST_CASE("a client of messages and an acceptor of streams tell each other") {
  net::io_context context;
  const temporary_folder folder;
  const asio_stream_acceptor streams(context, folder / "streams");
  const asio_listener messages(context, folder / "messages");
  CHECK(streams.path() == folder / "streams");
  int refused = 0;
  asio_stream_acceptor& accepting = const_cast<asio_stream_acceptor&>(streams);
  accepting.async_accept([](net_error_code error, const asio_stream&) {
    CHECK(error == net::error::operation_aborted);
  });
  const_cast<asio_listener&>(messages).async_accept([](net_error_code error, const asio_channel&) {
    CHECK(error == net::error::operation_aborted);
  });
  const auto expect_refusal = [&](const net_error_code& error, auto&&) {
    CHECK(std_error(error) == errc::refused_kind);
    ++refused;
  };
  async_connect(context, streams.path(), expect_refusal);
  async_connect_stream(context, messages.path(), expect_refusal);
  REQUIRE(run_until(context, [&] { return refused == 2; }));
  accepting.close();
  const_cast<asio_listener&>(messages).close();
  CHECK(streams.path().empty());
  context.restart();
  context.run();
}

TEST_CASE("a stream that is given to the acceptor becomes the connection, and keeps its executor") {
  net::io_context context;
  const temporary_folder folder;
  asio_stream_acceptor acceptor(context, folder / "peer");
  using strand_type = net::strand<net::io_context::executor_type>;
  const strand_type strand(context.get_executor());
  basic_asio_stream<strand_type> on_strand(strand);
  asio_stream plain(context);
  std::vector<asio_stream> clients;
  int accepted = 0;
  const auto connect_client = [&] {
    async_connect_stream(context, acceptor.path(), [&](net_error_code error, asio_stream s) {
      CHECK_FALSE(error);
      clients.push_back(std::move(s));
    });
  };
  connect_client();
  acceptor.async_accept(on_strand, [&](net_error_code error) {
    CHECK_FALSE(error);
    CHECK(on_strand.is_open());
    ++accepted;
  });
  CHECK(accepted == 0);
  REQUIRE(run_until(context, [&] { return accepted == 1 && clients.size() == 1; }));
  CHECK(on_strand.get_executor() == strand);

  connect_client();
  net::co_spawn(
      context,
      [&]() -> net::awaitable<void> {
        co_await acceptor.async_accept(plain, net::use_awaitable);
        ++accepted;
      },
      rethrow);
  REQUIRE(run_until(context, [&] { return accepted == 2 && clients.size() == 2; }));
  net::write(clients[0], net::buffer("first", 5));
  net::write(clients[1], net::buffer("second", 6));
  std::string text(6, '\0');
  CHECK(net::read(on_strand, net::buffer(text.data(), 5)) == 5);
  CHECK(text.substr(0, 5) == "first");
  CHECK(net::read(plain, net::buffer(text)) == 6);
  CHECK(text == "second");
}

TEST_CASE("an accept into a stream that is open fails, and the next accept gets the client") {
  asio_streams s;
  const temporary_folder folder;
  asio_stream_acceptor acceptor(s.context, folder / "peer");
  asio_stream client(s.context);
  async_connect_stream(s.context, acceptor.path(), [&](net_error_code error, asio_stream made) {
    CHECK_FALSE(error);
    client = std::move(made);
  });
  int calls = 0;
  acceptor.async_accept(s.server, [&](net_error_code error) {
    CHECK(error == net::error::already_open);
    ++calls;
  });
  CHECK(calls == 0);
  REQUIRE(run_until(s.context, [&] { return calls == 1; }));
  write_now(s, s.client, "unharmed");
  CHECK(read_now(s, s.server, 100) == "unharmed");
  s.server.close();
  acceptor.async_accept(s.server, [&](net_error_code error) {
    CHECK_FALSE(error);
    ++calls;
  });
  REQUIRE(run_until(s.context, [&] { return calls == 2 && client.is_open(); }));
  write_now(s, client, "a new one");
  CHECK(read_now(s, s.server, 100) == "a new one");
}

TEST_CASE("an accept into a stream is cancelled by its slot, and leaves the stream as it was") {
  net::io_context context;
  const temporary_folder folder;
  asio_stream_acceptor acceptor(context, folder / "peer");
  asio_stream peer(context);
  net::cancellation_signal stop;
  std::vector<net_error_code> errors;
  const auto note = [&](net_error_code error) { errors.push_back(error); };
  acceptor.async_accept(peer, net::bind_cancellation_slot(stop.slot(), note));
  context.poll();
  stop.emit(net::cancellation_type::total);
  REQUIRE(run_until(context, [&] { return errors.size() == 1; }));
  CHECK(errors[0] == net::error::operation_aborted);
  CHECK_FALSE(peer.is_open());
  acceptor.close();
  acceptor.async_accept(peer, note);
  REQUIRE(run_until(context, [&] { return errors.size() == 2; }));
  CHECK(errors[1] == net::error::bad_descriptor);
  asio_stream nowhere;
  asio_stream_acceptor again(context, folder / "again");
  again.async_accept(nowhere, note);
  REQUIRE(run_until(context, [&] { return errors.size() == 3; }));
  CHECK(errors[2] == net::error::bad_descriptor);
}

TEST_CASE("streams have the members that templates of Asio's streams look for") {
  using on_context = basic_asio_stream<net::io_context::executor_type>;
  static_assert(std::is_same_v<asio_stream::rebind_executor<net::io_context::executor_type>::other,
                               on_context>);
  static_assert(std::is_same_v<asio_stream::lowest_layer_type, asio_stream>);
  static_assert(std::is_nothrow_move_constructible_v<asio_stream>);
  using by_default = net::use_awaitable_t<>::as_default_on_t<asio_stream>;

  asio_streams s;
  CHECK(&s.client.lowest_layer() == &s.client);
  CHECK(s.client.peer().process == sys::current_process());
  by_default waits(std::move(s.server));
  std::string text;
  net::co_spawn(
      s.context,
      [&]() -> net::awaitable<void> {
        char buffer[10];
        text.assign(buffer, co_await waits.async_read_some(net::buffer(buffer)));
        co_await waits.async_write_some(net::buffer("back", 4));
      },
      rethrow);
  write_now(s, s.client, "there");
  CHECK(read_now(s, s.client, 10) == "back");
  CHECK(text == "there");
}

TEST_CASE("a stream that is not open says so") {
  net::io_context context;
  asio_stream none(context);
  CHECK_FALSE(none.is_open());
  net_error_code error;
  std::array<char, 4> buffer{};
  CHECK(none.read_some(net::buffer(buffer), error) == 0);
  CHECK(error == net::error::bad_descriptor);
  CHECK(none.write_some(net::buffer(buffer), error) == 0);
  CHECK(error == net::error::bad_descriptor);
  int calls = 0;
  none.async_read_some(net::buffer(buffer), [&](net_error_code e, std::size_t) {
    CHECK(e == net::error::bad_descriptor);
    ++calls;
  });
  none.consume(3);
  none.cancel();
  none.close();
  context.run();
  CHECK(calls == 1);
}

}  // TEST_SUITE("asio stream")
