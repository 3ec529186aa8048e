// SPDX-License-Identifier: BSL-1.0
// The parts that both sides of old_design.hpp use: a ring of bytes in shared memory, the bell, and
// the mapping.
#pragma once

#include <ringbell/sys/handle.hpp>

#include <sys/mman.h>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <utility>
#include <vector>

namespace ringbell::bench::old_design {

inline constexpr std::size_t ring_bytes = std::size_t{64} * 1024;
/// The longest message. Longer ones would need splitting.
inline constexpr std::size_t longest_message = ring_bytes - 8;

/// One direction, as it lies in the memory that both map. A record is its length (4 bytes), then
/// the bytes, rounded up to 8; it continues at the front when it reaches the end. Positions count
/// bytes and never wrap.
///
///   tail   written by the writer, with release: the bytes before it are complete. Read by the reader, with acquire.
///   head   written by the reader, with release: it is done with the bytes before it. Read by the writer, with acquire, before it overwrites them.
///
/// No side announces that it sleeps, so no fence is needed: the writer of the tail rings always,
/// and the eventfd's lock in the kernel orders the tail before the ring that is read.
struct shared_ring {
  alignas(64) std::atomic<std::uint64_t> tail;
  alignas(64) std::atomic<std::uint64_t> head;
  alignas(64) std::byte data[ring_bytes];
};
static_assert(std::atomic<std::uint64_t>::is_always_lock_free);

struct shared_area {
  shared_ring requests;
  shared_ring replies;
};

class ring_writer {
public:
  explicit ring_writer(shared_ring& ring) noexcept : ring_(&ring) {}

  /// False when there is no space, now or ever. Never blocks.
  bool write(std::span<const std::byte> message) noexcept;

private:
  shared_ring* ring_;
  std::uint64_t tail_ = 0;  // what the peer might do to the shared one is not our concern
};

class ring_reader {
public:
  explicit ring_reader(shared_ring& ring) noexcept : ring_(&ring) {}

  /// Takes the oldest message; false when there is none. Never blocks. Throws `std::system_error`,
  /// `errc::bad_peer`, when what is there can be no message.
  bool read(std::vector<std::byte>& into);

private:
  shared_ring* ring_;
  std::uint64_t head_ = 0;
};

/// An eventfd in blocking mode: one rings, the other sleeps in the kernel.
class bell {
public:
  bell() noexcept = default;
  explicit bell(sys::handle eventfd) noexcept : eventfd_(std::move(eventfd)) {}
  /// Throws `std::system_error`.
  static bell create();

  /// One write(2), whoever waits. From any thread.
  void ring() const noexcept;
  /// Sleeps until it has been rung since the last time: one read(2). Some rings may be one.
  void wait() const noexcept;
  /// The same for `most` at most; false when it was not rung. By poll(2) and read(2), since an
  /// eventfd's read knows no timeout.
  bool wait(std::chrono::milliseconds most) const noexcept;
  sys::native_handle native() const noexcept { return eventfd_.get(); }

private:
  sys::handle eventfd_;
};

/// The shared memory of one connection, mapped.
class mapping {
public:
  /// Maps it. Throws `std::system_error`; `errc::bad_region` when it is too small.
  explicit mapping(sys::native_handle memory);
  mapping(const mapping&) = delete;
  mapping& operator=(const mapping&) = delete;
  ~mapping() { ::munmap(area_, sizeof(shared_area)); }

  /// A memfd of that size, zeroed. Throws `std::system_error`.
  static sys::handle create_memory();

  shared_area& operator*() const noexcept { return *area_; }
  shared_area* operator->() const noexcept { return area_; }

private:
  shared_area* area_;
};

}  // namespace ringbell::bench::old_design
