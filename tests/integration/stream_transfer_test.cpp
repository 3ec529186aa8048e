// SPDX-License-Identifier: BSL-1.0
// Streams of bytes between two processes, byte by byte: pieces of every size, both directions at
// once, and a peer that is killed at any moment.
#include <ringbell/channel/stream.hpp>
#include <ringbell/channel/stream_listener.hpp>
#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/when_all.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <random>
#include <span>
#include <string>
#include <vector>

#include "support/child_process.hpp"
#include "support/patience.hpp"
#include "support/pattern.hpp"
#include "support/turns.hpp"

TEST_SUITE("stream_transfer") {

using namespace ringbell;
using namespace ringbell::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t longest_piece = 200'000;

/// The bytes of a stream, in order. Each follows from its place, so a byte that is missing, doubled
/// or changed shows.
class sequence {
public:
  explicit sequence(std::uint64_t seed) noexcept : words_(seed) {}
  std::span<const std::byte> next(std::size_t n) {
    while (have_.size() - at_ < n) {
      const std::uint64_t word = words_.next();
      const auto bytes = std::as_bytes(std::span(&word, 1));
      have_.insert(have_.end(), bytes.begin(), bytes.end());
    }
    const std::span<const std::byte> result = std::span(have_).subspan(at_, n);
    at_ += n;
    return result;
  }
  /// To be called when what next() gave is no longer used.
  void forget() {
    have_.erase(have_.begin(), have_.begin() + static_cast<std::ptrdiff_t>(at_));
    at_ = 0;
  }

private:
  pattern words_;
  std::vector<std::byte> have_;
  std::size_t at_ = 0;
};

task<void> write_sequence(stream& to, std::uint64_t total, std::uint64_t seed) {
  sequence bytes(seed);
  for (std::uint64_t n = 0, written = 0; written < total; ++n) {
    const std::uint64_t wanted = 1 + (n % 3 == 0 ? pick(n, 100) : pick(n, longest_piece));
    const auto size = static_cast<std::size_t>(std::min(total - written, wanted));
    const std::span<const std::byte> piece = bytes.next(size);
    if (n % 2 == 0) {
      co_await to.write_all(piece);
    } else {
      for (std::span<const std::byte> rest = piece; !rest.empty();)
        rest = rest.subspan(co_await to.write_some(rest));
    }
    bytes.forget();
    written += size;
  }
}

/// Reads to the end, and counts in `have`.
task<void> read_sequence(stream& from, std::uint64_t seed, std::uint64_t& have) {
  sequence bytes(seed);
  std::vector<std::byte> buffer(longest_piece);
  for (std::uint64_t n = 0;; ++n) {
    std::span<const std::byte> got;
    if (n % 4 == 3) {
      got = co_await from.read_view();
    } else {
      const std::size_t room = 1 + static_cast<std::size_t>(pick(n, longest_piece - 1));
      got = std::span(buffer).first(co_await from.read_some(std::span(buffer).first(room)));
    }
    if (got.empty()) co_return;
    const std::span<const std::byte> expected = bytes.next(got.size());
    expect(std::memcmp(got.data(), expected.data(), got.size()) == 0, "the next bytes in order");
    bytes.forget();
    if (n % 4 == 3) from.consume(got.size());
    have += got.size();
  }
}

task<void> write_and_end(stream& to, std::uint64_t total, std::uint64_t seed) {
  task<void> writing = write_sequence(to, total, seed);
  co_await std::move(writing);
  to.shutdown();
}

task<void> both_ways(stream& s, std::uint64_t total, std::uint64_t own, std::uint64_t peers) {
  std::uint64_t have = 0;
  co_await when_all(write_and_end(s, total, own), read_sequence(s, peers, have));
  expect(have == total, "all bytes");
}

task<void> connect_and_exchange(loop& lp, std::string path, std::uint64_t total) {
  connect_options options;
  options.timeout = patience;
  stream s = co_await connect_stream(lp, path, options);
  task<void> exchanging = both_ways(s, total, 1, 2);
  co_await std::move(exchanging);
}

int be_client(const std::string& path, std::uint64_t total) {
  loop lp;
  lp.run(connect_and_exchange(lp, path, total));
  return 0;
}

task<void> accept_and_exchange(stream_listener& l, std::uint64_t total) {
  stream s = co_await l.accept();
  task<void> exchanging = both_ways(s, total, 2, 1);
  co_await std::move(exchanging);
}

// -- a writer that is killed --

task<void> connect_and_write(loop& lp, std::string path, std::chrono::nanoseconds left) {
  connect_options options;
  options.timeout = patience;
  stream s = co_await connect_stream(lp, path, options);
  be_killed_after(left);
  std::uint64_t have = 0;
  co_await when_all(write_sequence(s, ~std::uint64_t{0}, 1), read_sequence(s, 2, have));
}

int be_victim(const std::string& path, std::chrono::nanoseconds left) {
  loop lp;
  lp.run(connect_and_write(lp, path, left));
  return 0;
}

task<std::uint64_t> survive(stream_listener& l) {
  stream s = co_await l.accept();
  std::uint64_t have = 0;
  const auto outlive = [](task<void> wait) -> task<void> {
    const auto outcome = co_await as_result(std::move(wait));
    expect(outcome.error() == errc::peer_closed, outcome.error().message().c_str());
  };
  co_await when_all(outlive(read_sequence(s, 1, have)),
                    outlive(write_sequence(s, ~std::uint64_t{0}, 2)));
  co_return have;
}

}  // namespace

TEST_CASE("a GiB goes through rings of 64 KiB, half of it each way") {
  const temporary_folder folder;
  const std::string path = folder / "stream";
  const std::uint64_t total = turns(512) << 20;
  loop lp;
  stream_listener l = stream_listener::bind(lp, path);
  child_process client(&be_client, path, total);
  lp.run(accept_and_exchange(l, total));
  CHECK(client.wait() == 0);
}

TEST_CASE("a writer is killed at any moment: its peer reads a prefix, and then hears of it") {
  const temporary_folder folder;
  std::minstd_rand random(7);
  std::uint64_t bytes = 0;
  for (std::uint64_t n = 0; n < turns(40); ++n) {
    const std::string path = folder / std::to_string(n);
    loop lp;
    stream_listener l = stream_listener::bind(lp, path);
    child_process victim(&be_victim, path,
                         std::chrono::nanoseconds(std::chrono::microseconds(random() % 3000)));
    bytes += lp.run(survive(l));
    CHECK(victim.wait() == killed);
  }
  CHECK(bytes > 0);
}

}  // TEST_SUITE("stream_transfer")
