// SPDX-License-Identifier: BSL-1.0
#include <ringbell/ring/reader.hpp>

namespace ringbell::ring {

errc reader::skip_pad(record_header header, std::uint64_t to_end) noexcept {
  // A pad reaches exactly to the ring's end and never fills the whole ring: so a stream of pads
  // cannot keep the reader here.
  if (header.flags != record_header::pad || record_bytes(header.length) != to_end ||
      to_end == capacity_)
    return errc::bad_peer;
  // The pad's bytes are nobody's: they are given back with the record before it, or at once when
  // nothing is held.
  if (released_ == read_) released_ = read_ + to_end;
  read_ += to_end;
  return errc{};
}

}  // namespace ringbell::ring
