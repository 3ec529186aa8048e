// SPDX-License-Identifier: BSL-1.0
#include "old_design_ring.hpp"

#include <ringbell/errors.hpp>

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>
#include <algorithm>
#include <cerrno>
#include <cstring>
#include <system_error>

namespace ringbell::bench::old_design {

namespace {

constexpr std::size_t header_bytes = 4;

std::uint64_t record_bytes(std::size_t message) noexcept {
  return (header_bytes + message + 7) / 8 * 8;
}

void copy_in(std::byte* ring, std::uint64_t position, const void* from, std::size_t size) noexcept {
  const std::size_t at = position % ring_bytes;
  const std::size_t first = std::min(size, ring_bytes - at);
  if (first != 0) std::memcpy(ring + at, from, first);
  if (size != first) std::memcpy(ring, static_cast<const std::byte*>(from) + first, size - first);
}

void copy_out(const std::byte* ring, std::uint64_t position, void* into,
              std::size_t size) noexcept {
  const std::size_t at = position % ring_bytes;
  const std::size_t first = std::min(size, ring_bytes - at);
  if (first != 0) std::memcpy(into, ring + at, first);
  if (size != first) std::memcpy(static_cast<std::byte*>(into) + first, ring, size - first);
}

[[noreturn]] void fail(const char* what) {
  throw std::system_error(errno, std::generic_category(), what);
}

}  // namespace

bool ring_writer::write(std::span<const std::byte> message) noexcept {
  if (message.size() > longest_message) return false;
  const std::uint64_t end = tail_ + record_bytes(message.size());
  // Acquire: the reader's copy out of this space comes before ours into it.
  if (end - ring_->head.load(std::memory_order_acquire) > ring_bytes) return false;
  const auto size = static_cast<std::uint32_t>(message.size());
  copy_in(ring_->data, tail_, &size, sizeof size);
  copy_in(ring_->data, tail_ + header_bytes, message.data(), message.size());
  // Release: whoever sees this tail sees the record.
  ring_->tail.store(end, std::memory_order_release);
  tail_ = end;
  return true;
}

bool ring_reader::read(std::vector<std::byte>& into) {
  // Acquire: the record before this tail is complete.
  const std::uint64_t there = ring_->tail.load(std::memory_order_acquire) - head_;
  if (there == 0) return false;
  std::uint32_t size = 0;
  copy_out(ring_->data, head_, &size, sizeof size);
  if (there > ring_bytes || size > longest_message || record_bytes(size) > there)
    throw std::system_error(errc::bad_peer);
  into.resize(size);
  copy_out(ring_->data, head_ + header_bytes, into.data(), size);
  head_ += record_bytes(size);
  // Release: our copy comes before what the writer puts there next.
  ring_->head.store(head_, std::memory_order_release);
  return true;
}

bell bell::create() {
  sys::handle made(::eventfd(0, EFD_CLOEXEC));
  if (!made) fail("eventfd");
  return bell(std::move(made));
}

void bell::ring() const noexcept {
  const std::uint64_t one = 1;
  while (::write(native(), &one, sizeof one) < 0 && errno == EINTR) {}
}

void bell::wait() const noexcept {
  std::uint64_t rings = 0;
  while (::read(native(), &rings, sizeof rings) < 0 && errno == EINTR) {}
}

bool bell::wait(std::chrono::milliseconds most) const noexcept {
  pollfd waiting{native(), POLLIN, 0};
  if (::poll(&waiting, 1, static_cast<int>(most.count())) <= 0) return false;
  wait();
  return true;
}

sys::handle mapping::create_memory() {
  sys::handle made(::memfd_create("old_design", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!made) fail("memfd_create");
  if (::ftruncate(made.get(), sizeof(shared_area)) != 0) fail("ftruncate");
  // A peer that could shrink it could kill us.
  if (::fcntl(made.get(), F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL) != 0)
    fail("F_ADD_SEALS");
  return made;
}

mapping::mapping(sys::native_handle memory) {
  struct stat status{};
  if (::fstat(memory, &status) != 0) fail("fstat");
  if (status.st_size < static_cast<off_t>(sizeof(shared_area)))
    throw std::system_error(errc::bad_region);
  void* const mapped =
      ::mmap(nullptr, sizeof(shared_area), PROT_READ | PROT_WRITE, MAP_SHARED, memory, 0);
  if (mapped == MAP_FAILED) fail("mmap");
  // Zeroes are what its atomics start with, and the peer may have begun: nothing may be constructed
  // over it.
  area_ = static_cast<shared_area*>(mapped);
}

}  // namespace ringbell::bench::old_design
