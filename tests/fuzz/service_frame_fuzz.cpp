// SPDX-License-Identifier: BSL-1.0
//
// What a hostile peer can say in a frame of the service layer.
//
// Input: byte 0 says who sends; the rest is the message. Aborts when a property does not hold.
#include <ringbell/service/detail/frame.hpp>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <vector>

namespace {

using namespace ringbell;
using namespace ringbell::service_frame;

void require(bool holds, const char* property) {
  if (holds) return;
  std::fprintf(stderr, "property violated: %s\n", property);
  std::abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const bool from_client = (data[0] & 1) != 0;
  const auto message = std::as_bytes(std::span(data, size)).subspan(1);
  const auto got = decode(message, from_client);
  if (!got) {
    require(got.error() == errc::bad_peer, "a message is a frame, or breaks the protocol");
    return 0;
  }
  const header& h = got->head;
  const encoded_header again = encode(h);
  require(again.size <= max_header_size, "no header is longer than the longest");
  require(again.size + got->metadata.size() + got->payload.size() == message.size(),
          "a frame is all of its message");
  require(std::ranges::equal(again.bytes(), message.first(again.size)),
          "a decoded header encodes to the bytes that it came from");
  require(got->metadata.data() == message.data() + again.size || got->metadata.empty(),
          "metadata follows the header");
  require(h.metadata == got->metadata.size() && h.metadata <= max_metadata,
          "metadata is as long as the header says");
  require(h.kind != kind::goaway || h.reason == errc::refused_stopping ||
              h.reason == errc::dropped_idle,
          "a goodbye has a reason");
  if (const auto f = decode_failure(got->payload)) {
    require(f->domain != code_domain::service || errc_of(f->code) != errc{},
            "a service's error exists");
    require(std::ranges::equal(encode(*f), got->payload.first(failure_header_size)),
            "a failure encodes to the bytes that it came from");
    require(f->text.size() + failure_header_size == got->payload.size(), "the text is the rest");
  }
  return 0;
}
