// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/config.hpp>
#include <ringbell/ring/endpoint.hpp>

#include <array>
#include <cstddef>
#include <span>
#include <type_traits>
#include <vector>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

/// An Asio buffer sequence in the form that endpoints take. More than 16 pieces need an allocation.
///
/// Lifetime: it must not outlive the buffers.
template <class Buffers>
class gathered {
public:
  explicit gathered(const Buffers& buffers) {
    const auto end = net::buffer_sequence_end(buffers);
    for (auto it = net::buffer_sequence_begin(buffers); it != end; ++it)
      add(net::const_buffer(*it));
  }
  gather_list pieces() const noexcept {
    return more_.empty() ? gather_list(few_.data(), count_) : gather_list(more_);
  }

private:
  using piece = std::span<const std::byte>;
  static constexpr std::size_t capacity =
      std::is_convertible_v<Buffers, net::const_buffer> ? 1 : 16;

  void add(const net::const_buffer& b) {
    const piece p(static_cast<const std::byte*>(b.data()), b.size());
    if (more_.empty() && count_ < capacity) {
      few_[count_++] = p;
      return;
    }
    if (more_.empty()) more_.assign(few_.begin(), few_.end());
    more_.push_back(p);
  }

  std::array<piece, capacity> few_;
  std::size_t count_ = 0;
  std::vector<piece> more_;
};

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
