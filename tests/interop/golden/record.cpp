// SPDX-License-Identifier: BSL-1.0
//
// Prints the bytes that this implementation writes today for fixed inputs: frames of the handshake,
// control pages, rings, frames of a service. `check golden` compares them with the file of their
// version in this folder. When the protocol has got a new version, record it there:
//
//   record > version-2.txt
//
// A block begins with `== name: comment` and with its size. Lines of 16 bytes follow, each with its
// offset; those of zeros are left out.
#include <ringbell/channel/detail/handshake.hpp>
#include <ringbell/ring/layout.hpp>
#include <ringbell/service/detail/frame.hpp>
#include <ringbell/service/method.hpp>
#include <ringbell/service/statistics.hpp>

#include "support/endpoint_pair.hpp"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>
#include <string_view>
#include <vector>

using namespace ringbell;

namespace {

using bytes = std::vector<std::byte>;

// -- printing --

void print(const std::string& name, std::string_view comment, std::span<const std::byte> block) {
  std::printf("\n== %s: %.*s\n(%zu bytes)\n", name.c_str(), static_cast<int>(comment.size()),
              comment.data(), block.size());
  for (std::size_t at = 0; at < block.size(); at += 16) {
    const auto line = block.subspan(at, std::min<std::size_t>(16, block.size() - at));
    if (std::ranges::all_of(line, [](std::byte b) { return b == std::byte{}; })) continue;
    std::printf("%04zx:", at);
    for (const std::byte b : line) std::printf(" %02x", std::to_integer<unsigned>(b));
    std::printf("\n");
  }
}

/// The control page and the data behind it.
void print(const std::string& name, std::string_view comment, const test_region& region) {
  const auto* page = reinterpret_cast<const std::byte*>(region.page.get());
  bytes whole(page, page + sizeof *region.page);
  whole.resize(ring::control_bytes);
  const auto* data = reinterpret_cast<const std::byte*>(region.words.get());
  whole.insert(whole.end(), data, data + region.bytes);
  print(name, comment, whole);
}

// -- inputs --

/// The byte at place i is 7 i + seed, so a shift or a swap shows.
bytes pattern(std::size_t size, unsigned seed) {
  bytes made(size);
  for (std::size_t i = 0; i < size; ++i) made[i] = static_cast<std::byte>(7 * i + seed);
  return made;
}

bytes of_text(std::string_view text) {
  const auto* first = reinterpret_cast<const std::byte*>(text.data());
  return {first, first + text.size()};
}

void expect(bool true_) {
  if (true_) return;
  std::fputs("record: an input did not do what it should\n", stderr);
  std::exit(1);
}

// -- the handshake --

void print_handshake() {
  using namespace handshake;
  const auto show = [](const std::string& name, std::string_view comment, const frame& f) {
    print(name, comment, encode(f).bytes());
  };
  hello h;
  h.version_min = 1;
  h.version_max = 0x0203;
  h.can_wait_on = 3;
  h.can_ring = 7;
  h.ring_bytes = 65536;
  h.wanted_ring_bytes = 1 << 20;
  h.max_message = 0x0102030405060708;
  show("hello", "versions 1 to 0x203, waits on 3, rings 7, 64 KiB, wants 1 MiB", h);
  h.kind = record_kind::stream;
  h.version_max = 1;
  h.wanted_ring_bytes = 0;
  show("hello stream", "the same of a stream, version 1 only, no wish", h);

  welcome w;
  w.version = 1;
  w.wakes_client = sys::bell_kind::eventfd;
  w.wakes_server = sys::bell_kind::futex;
  w.ring_bytes = 4096;
  w.max_message = 0x1122334455667788;
  show("welcome", "version 1, client woken by eventfd, server by futex, 4 KiB", w);
  w.wakes_client = w.wakes_server = sys::bell_kind::socket;
  show("welcome sockets", "the same with the socket for both", w);

  constexpr errc reasons[] = {errc::refused_version,      errc::refused_unauthorized,
                              errc::refused_too_many,     errc::refused_ring_size,
                              errc::refused_bell,         errc::refused_stopping,
                              errc::refused_malformed,    errc::refused_too_many_of_user,
                              errc::refused_no_resources, errc::refused_kind};
  for (std::size_t i = 0; i < std::size(reasons); ++i)
    show("refused " + std::to_string(i + 1), "limits 0x11 and 0x22",
         refused{reasons[i], 0x11, 0x22});
}

// -- regions --

constexpr std::size_t limit = std::size_t{16} << 20;

/// Two sides with rings of 4096 bytes, and what a page says of its owner fixed.
struct sides : endpoint_pair {
  sides() : endpoint_pair(4096, 4096, limit) {
    for (test_region* r : {&a_region, &b_region}) {
      r->page->process_id = 4242;
      r->page->start_time = 0x0123456789abcdef;
    }
  }
  void send(const bytes& message) { expect(send_all(a, message) == errc{}); }
  /// b receives one message, and gives its space back when it parks or sends.
  void receive(std::size_t size) {
    ring::message_view m;
    expect(b.receive(m) == errc{} && m.size == size);
    if (!m.joined) b.release(b.read_position());
  }
};

void print_records() {
  sides s;
  print("region", "a fresh one: ring of 4096, process 4242", s.a_region);
  s.send(of_text("hello"));
  print("express", "`hello`, which takes the express slot", s.a_region);
  s.send(of_text("second"));
  s.send({});
  s.send(pattern(97, 3));
  print("records", "behind it: `second`, no bytes, 97 bytes of the pattern 3", s.a_region);
  for (const std::size_t size : {5U, 6U, 0U, 97U}) s.receive(size);
  s.b.announce(true, false, 0);
  print("parked receiver", "the other side has received all, and waits for data", s.b_region);
}

void print_pad() {
  sides s;
  for (const unsigned seed : {1U, 2U}) {
    s.send(pattern(1500, seed));
    s.receive(1500);
  }
  s.b.publish();
  s.send(pattern(1300, 5));
  print("pad", "1500 bytes of the patterns 1 and 2, received; then 1300 of 5, behind a pad",
        s.a_region);
}

void print_fragments() {
  sides s;
  const bytes message = pattern(3000, 9);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  expect(s.a.send_fragments({&piece, 1}, message.size(), sent) == errc{} && sent == 3000);
  print("fragments", "one message of 3000 bytes, pattern 9", s.a_region);
}

void print_abandoned() {
  sides s;
  const bytes message = pattern(10000, 4);
  const std::span<const std::byte> piece = message;
  std::size_t sent = 0;
  expect(s.a.send_fragments({&piece, 1}, message.size(), sent) == errc::would_block);
  s.a.announce(false, true, message.size() - sent);
  print("parked sender", "fragments of 10000 bytes, pattern 4: full, waits for space", s.a_region);
  expect(!s.b.can_receive());
  s.b.publish();
  s.a.abandon_fragments();
  s.send(of_text("next"));
  print("abandoned", "the same, read, given up, and then `next`", s.a_region);
}

void print_closed() {
  sides s;
  s.send(of_text("last"));
  s.a.close_send();
  print("closed sending", "`last`, and nothing follows", s.a_region);
  s.receive(4);
  s.b.close_receive();
  print("closed receiving", "the other side, which has read that and receives no more", s.b_region);
}

void print_stream() {
  sides s;
  for (const bytes& piece : {pattern(3, 1), pattern(200, 2)}) {
    const std::span<const std::byte> one = piece;
    std::size_t sent = 0;
    expect(s.a.send_some({&one, 1}, piece.size(), sent) == errc{} && sent == piece.size());
  }
  s.a.close_send();
  print("stream", "3 bytes of the pattern 1, 200 of 2, the end", s.a_region);
}

// -- services --

void print_frame(const std::string& name, std::string_view comment, service_frame::header h,
                 const bytes& metadata = {}, const bytes& payload = {}) {
  h.metadata = metadata.size();
  const service_frame::encoded_header head = service_frame::encode(h);
  bytes whole(head.bytes().begin(), head.bytes().end());
  whole.insert(whole.end(), metadata.begin(), metadata.end());
  whole.insert(whole.end(), payload.begin(), payload.end());
  print(name, comment, whole);
}

bytes failure(service_frame::code_domain domain, std::int32_t code, std::string_view text) {
  service_frame::failure f;
  f.domain = domain;
  f.code = code;
  const auto head = service_frame::encode(f);
  bytes whole(head.begin(), head.end());
  const bytes rest = of_text(text);
  whole.insert(whole.end(), rest.begin(), rest.end());
  return whole;
}

void print_service() {
  using namespace service_frame;
  header h;
  h.call = 0x01020304;
  h.method = method_id("echo");
  h.deadline = 0x1112131415161718;
  print_frame("request", "call 0x1020304 of `echo`, a deadline, metadata `meta`, `ask`", h,
              of_text("meta"), of_text("ask"));
  h.flags = more;
  h.deadline = 0;
  print_frame("request with parts", "the same without deadline and metadata; parts follow", h, {},
              of_text("ask"));

  header simple;
  simple.call = 0x01020304;
  simple.kind = kind::part;
  simple.flags = more;
  print_frame("part", "`piece`", simple, {}, of_text("piece"));
  simple.flags = 0;
  print_frame("last part", "which has no bytes", simple);
  simple.kind = kind::cancel;
  print_frame("cancel", "", simple);
  simple.kind = kind::credit;
  simple.credit = 0x8001;
  print_frame("credit", "0x8001 bytes", simple);
  simple.kind = kind::reply;
  simple.flags = more;
  print_frame("reply part", "`piece`", simple, {}, of_text("piece"));
  simple.flags = 0;
  print_frame("reply", "metadata `meta`, `answer`", simple, of_text("meta"), of_text("answer"));
  simple.flags = error;
  print_frame("error of a handler", "-7, `no`", simple, {},
              failure(code_domain::handler, -7, "no"));
  print_frame("error of the system", "13, `no`", simple, {},
              failure(code_domain::system, 13, "no"));

  constexpr errc errors[] = {errc::refused_in_flight, errc::timed_out,
                             errc::cancelled,         errc::handler_failed,
                             errc::refused_stopping,  errc::no_such_method,
                             errc::dropped_idle,      errc::message_too_large,
                             errc::refused_bytes,     errc::refused_unauthorized};
  for (std::size_t i = 0; i < std::size(errors); ++i)
    print_frame("error " + std::to_string(i + 1), "of the service, without text", simple, {},
                failure(code_domain::service, number_of(errors[i]), ""));

  for (const errc why : {errc::refused_stopping, errc::dropped_idle}) {
    header bye;
    bye.kind = kind::goaway;
    bye.reason = why;
    print_frame("goaway " + std::to_string(number_of(why)), "", bye);
  }

  client_statistics row;
  const std::span words(reinterpret_cast<std::uint64_t*>(&row), sizeof row / 8);
  row.process = 1, row.user = 2, row.connected_ns = 3, row.requests = 4, row.failed = 5;
  row.refused = 6, row.in_flight = 7, row.bytes_in_flight = 8, row.depth_to_server = 9;
  row.depth_to_client = 10, row.ring_to_server = 11, row.ring_to_client = 12, row.asking = 13;
  row.channel.messages_sent = 14, row.channel.bytes_sent = 15, row.channel.messages_received = 16;
  row.channel.bytes_received = 17, row.channel.parks = 18, row.channel.bells_rung = 19;
  row.channel.bells_suppressed = 20, row.channel.spins_paid = 21, row.channel.ring_full_stalls = 22;
  print("statistics row", "the n-th word is n", std::as_bytes(words));
}

}  // namespace

int main() {
  std::printf("# The bytes of the protocol, written by tests/interop/golden/record.cpp\n");
  std::printf("protocol version %u, layout version %u\n", unsigned{handshake::protocol_version},
              unsigned{ring::layout_version});
  print_handshake();
  print_records();
  print_pad();
  print_fragments();
  print_abandoned();
  print_closed();
  print_stream();
  print_service();
  return 0;
}
