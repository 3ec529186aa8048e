// SPDX-License-Identifier: BSL-1.0
// The frames of the service layer, without a channel.
#include <ringbell/service/detail/frame.hpp>

#include <doctest/doctest.h>

#include <algorithm>
#include <chrono>
#include <cstring>
#include <ostream>
#include <string_view>
#include <vector>

TEST_SUITE("service_frame") {

using namespace ringbell;
using namespace ringbell::service_frame;
using namespace std::chrono_literals;

namespace {

using bytes = std::vector<std::byte>;

bytes encoded(const header& h, std::string_view rest = {}) {
  const encoded_header head = encode(h);
  bytes all(head.bytes().begin(), head.bytes().end());
  const auto more = std::as_bytes(std::span(rest.data(), rest.size()));
  all.insert(all.end(), more.begin(), more.end());
  return all;
}

header of(kind k, std::uint8_t flags = 0) {
  header h;
  h.kind = k;
  h.flags = flags;
  h.call = k == kind::goaway ? 0 : 77;
  if (k == kind::goaway) h.reason = errc::dropped_idle;
  return h;
}

bool from_client(kind k) {
  return k == kind::request || k == kind::part || k == kind::cancel || k == kind::credit;
}
bool refused(const bytes& message, bool by_client) {
  return decode(message, by_client).error() == errc::bad_peer;
}

constexpr kind kinds[] = {kind::request, kind::part,  kind::cancel,
                          kind::credit,  kind::reply, kind::goaway};

}  // namespace

TEST_CASE("a frame of each kind comes back as it was encoded") {
  header request = of(kind::request, more);
  request.method = 0x89abcdef;
  request.deadline = 0x0123456789abcdef;
  request.metadata = 3;
  header reply = of(kind::reply, error);
  reply.metadata = 2;
  header credit = of(kind::credit);
  credit.credit = 0xfedcba9876543210;
  header goaway = of(kind::goaway);
  goaway.reason = errc::refused_stopping;
  for (const header& h : {request, reply, credit, goaway, of(kind::part, more), of(kind::cancel)}) {
    CAPTURE(static_cast<int>(h.kind));
    const bool with_rest = h.kind == kind::request || h.kind == kind::reply || h.kind == kind::part;
    const bytes message = encoded(h, with_rest ? "metabytes" : "");
    const auto back = decode(message, from_client(h.kind));
    REQUIRE(back.has_value());
    CHECK(back->head == h);
    CHECK(back->metadata.size() == h.metadata);
    CHECK(back->metadata.size() + back->payload.size() == (with_rest ? 9 : 0));
  }
}

TEST_CASE("the metadata comes before the payload") {
  header h = of(kind::reply);
  h.metadata = 4;
  const bytes message = encoded(h, "metapayload");
  const auto f = decode(message, false);
  REQUIRE(f.has_value());
  CHECK(std::memcmp(f->metadata.data(), "meta", 4) == 0);
  CHECK(f->payload.size() == 7);
  CHECK(std::memcmp(f->payload.data(), "payload", 7) == 0);
}

TEST_CASE("a frame cut off in its header, or in its metadata, is refused") {
  for (const kind k : kinds) {
    header h = of(k);
    if (k == kind::request || k == kind::reply) h.metadata = 5;
    const bytes whole = encoded(h, h.metadata ? "12345" : "");
    CHECK(decode(whole, from_client(k)).has_value());
    for (std::size_t size = 0; size < whole.size(); ++size)
      CHECK(refused(bytes(whole.begin(), whole.begin() + static_cast<long>(size)), from_client(k)));
  }
}

TEST_CASE("kinds that do not exist, or come from the wrong side, are refused") {
  for (unsigned number = 0; number < 256; ++number) {
    CAPTURE(number);
    bytes message(24);
    message[0] = static_cast<std::byte>(number);
    const bool request_like = number >= 1 && number <= 4;
    const bool client_ok = decode(message, true).has_value();
    const bool server_ok = decode(message, false).has_value();
    if (!request_like) CHECK_FALSE(client_ok);
    if (number != 5) CHECK_FALSE(server_ok);  // 24 bytes are too many for the others
  }
  CHECK(refused(encoded(of(kind::reply)), true));
  CHECK(refused(encoded(of(kind::goaway)), true));
  CHECK(refused(encoded(of(kind::request)), false));
  CHECK(refused(encoded(of(kind::part)), false));
  CHECK(refused(encoded(of(kind::cancel)), false));
  CHECK(decode(encoded(of(kind::credit)), true).has_value());
  CHECK(decode(encoded(of(kind::credit)), false).has_value());
}

TEST_CASE("flags that a kind does not have, and both at once, are refused") {
  for (const kind k : kinds) {
    for (unsigned flags = 0; flags < 256; ++flags) {
      CAPTURE(static_cast<int>(k));
      CAPTURE(flags);
      const bool has_more = k == kind::request || k == kind::part || k == kind::reply;
      const bool sound =
          flags == 0 || (flags == more && has_more) || (flags == error && k == kind::reply);
      CHECK(decode(encoded(of(k, static_cast<std::uint8_t>(flags))), from_client(k)).has_value() ==
            sound);
    }
  }
}

TEST_CASE("a deadline arrives as it was sent, or later by what passed meanwhile") {
  using clock = std::chrono::steady_clock;
  for (const std::chrono::nanoseconds left :
       {std::chrono::nanoseconds(1h), 0ns, std::chrono::nanoseconds(-1h)}) {
    const auto before = clock::now();
    const auto received = received_deadline(sent_deadline(before + left));
    REQUIRE(received);
    CHECK(*received >= before + left - 1us);  // what a clock may round away
    CHECK(*received <= clock::now() + left);
  }
  CHECK_FALSE(received_deadline(0));
  CHECK(sent_deadline(clock::time_point::max()) == 0);
  CHECK(sent_deadline(clock::time_point::min()) == 1);
}

TEST_CASE("any number is a deadline: one that has passed, or one at most at the end of time") {
  using clock = std::chrono::steady_clock;
  CHECK(*received_deadline(1) < clock::now());
  CHECK(*received_deadline(~std::uint64_t{0}) > clock::now() + 24h * 365 * 100);
}

TEST_CASE("metadata longer than 4096 bytes, or of a kind that has none, is refused") {
  const std::string_view rest("x", 1);
  header h = of(kind::request);
  h.metadata = max_metadata;
  bytes message = encoded(h);
  message.resize(message.size() + max_metadata);
  CHECK(decode(message, true).has_value());
  h.metadata = max_metadata + 1;
  message = encoded(h);
  message.resize(message.size() + max_metadata + 1);
  CHECK(refused(message, true));
  h = of(kind::part, more);
  h.metadata = 1;
  CHECK(refused(encoded(h, rest), true));
  h = of(kind::credit);
  h.metadata = 1;
  CHECK(refused(encoded(h, rest), true));
}

TEST_CASE("bytes behind a frame that carries none are refused") {
  for (const kind k : {kind::cancel, kind::credit, kind::goaway, kind::part})
    CHECK(refused(encoded(of(k), "x"), from_client(k)));
  CHECK(decode(encoded(of(kind::part, more), "x"), true).has_value());
}

TEST_CASE("a request's reserved word, and a goodbye's call and reason, must be what they can be") {
  bytes request = encoded(of(kind::request));
  request[12] = std::byte{1};
  CHECK(refused(request, true));
  header h = of(kind::goaway);
  h.call = 1;
  CHECK(refused(encoded(h), false));
  for (unsigned reason = 0; reason < 256; ++reason) {
    bytes goaway = encoded(of(kind::goaway));
    goaway[8] = static_cast<std::byte>(reason);
    CHECK(decode(goaway, false).has_value() == (reason == 5 || reason == 7));
    goaway[12] = std::byte{1};
    CHECK(refused(goaway, false));
  }
}

TEST_CASE("a failure of each domain comes back as it was encoded") {
  for (const failure f : {failure{code_domain::handler, -5, {}},
                          failure{code_domain::service, number_of(errc::timed_out), {}},
                          failure{code_domain::system, 2, {}}}) {
    const auto head = encode(f);
    bytes payload(head.begin(), head.end());
    payload.push_back(std::byte{'t'});
    const auto back = decode_failure(payload);
    REQUIRE(back.has_value());
    CHECK(back->domain == f.domain);
    CHECK(back->code == f.code);
    CHECK(back->text == "t");
  }
}

TEST_CASE(
    "a failure that is too short, of an unknown domain, or of a service's error that does not exist is refused") {
  const auto head = encode(failure{code_domain::handler, 1, {}});
  for (std::size_t size = 0; size < head.size(); ++size)
    CHECK(decode_failure(std::span(head).first(size)).error() == errc::bad_peer);
  auto unknown = head;
  unknown[0] = std::byte{3};
  CHECK(decode_failure(unknown).error() == errc::bad_peer);
  for (const std::int32_t code : {-1, 0, 11, 1 << 30})
    CHECK(decode_failure(encode(failure{code_domain::service, code, {}})).error() ==
          errc::bad_peer);
}

TEST_CASE("the numbers of the service's errors are those of docs/protocol.md") {
  const errc in_order[] = {errc::refused_in_flight,   errc::timed_out,         errc::cancelled,
                           errc::handler_failed,      errc::refused_stopping,  errc::no_such_method,
                           errc::dropped_idle,        errc::message_too_large, errc::refused_bytes,
                           errc::refused_unauthorized};
  std::int32_t number = 1;
  for (const errc e : in_order) {
    CHECK(number_of(e) == number);
    CHECK(errc_of(number) == e);
    ++number;
  }
  CHECK(number_of(errc::peer_closed) == 0);
  CHECK(errc_of(number) == errc{});
  CHECK(errc_of(0) == errc{});
  CHECK(errc_of(-1) == errc{});
}

}  // TEST_SUITE("service_frame")
