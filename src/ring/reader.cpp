// SPDX-License-Identifier: BSL-1.0
#include <ringbell/ring/reader.hpp>

namespace ringbell::ring {

errc reader::skip_pad(record_header header, std::uint64_t to_end) noexcept {
  // A pad reaches exactly to the ring's end and never fills the whole ring. So a stream of pads
  // cannot keep the reader in a loop.
  if (header.flags != record_header::pad || record_bytes(header.length) != to_end ||
      to_end == capacity_)
    return errc::bad_peer;
  // The bytes of a pad belong to no message. They are given back with the record before it, or at
  // once when no message is held.
  if (released_ == read_) released_ = read_ + to_end;
  read_ += to_end;
  return errc{};
}

}  // namespace ringbell::ring
