// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/region.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace ringbell::sys {

namespace {

void unmap(const std::byte* data, std::size_t size) noexcept {
  if (data) ::munmap(const_cast<std::byte*>(data), size);
}

}  // namespace

std::size_t page_size() noexcept {
  static const auto size = static_cast<std::size_t>(::sysconf(_SC_PAGESIZE));
  return size;
}

region::region(region&& other) noexcept
    : handle_(std::move(other.handle_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

region& region::operator=(region&& other) noexcept {
  if (this != &other) {
    unmap(data_, size_);
    handle_ = std::move(other.handle_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

region::~region() { unmap(data_, size_); }

peer_region::peer_region(peer_region&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(std::exchange(other.size_, 0)) {}

peer_region& peer_region::operator=(peer_region&& other) noexcept {
  if (this != &other) {
    unmap(data_, size_);
    data_ = std::exchange(other.data_, nullptr);
    size_ = std::exchange(other.size_, 0);
  }
  return *this;
}

peer_region::~peer_region() { unmap(data_, size_); }

void unmap(region own, peer_region peer) noexcept {
  if (!own || !peer) return;
  const std::byte* const begin = own.data_ + own.size_ == peer.data_ ? own.data_ : peer.data_;
  if (begin == peer.data_ && peer.data_ + peer.size_ != own.data_) return;
  unmap(begin, own.size_ + peer.size_);
  own.data_ = nullptr;
  peer.data_ = nullptr;
}

}  // namespace ringbell::sys
