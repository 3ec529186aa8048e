// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/foreign_handle.hpp>
#include <ringbell/sys/handle.hpp>

#include <cstddef>
#include <system_error>

namespace ringbell::sys {

class peer_region;

/// Shared memory that this process has created, that only this process may write, and that it can
/// share with a peer for reading. The basic rule of ringbell (a process writes only what it owns)
/// depends on it: once `create` has returned, no process can map a descriptor of it for writing,
/// resize it or unseal it, however the descriptor travelled. On Linux seals ensure this. On macOS
/// and the BSDs, the descriptor was opened for reading. On Windows, only a duplicate of the handle
/// with the right to read leaves this process (`local_socket::send`).
///
/// It has no name, so nothing is left in a file system, whichever process dies and when.
///
/// The handle is needed only to share the memory: `close_handle` closes it early, so that a
/// connection uses no descriptor for it.
///
/// Thread-safety: distinct objects from distinct threads.
/// Lifetime: destruction unmaps the memory and closes the handle; the peer's mapping stays.
class region {
public:
  region() noexcept = default;
  region(region&& other) noexcept;
  region& operator=(region&& other) noexcept;
  ~region();

  /// Creates `bytes` (rounded up to whole pages) of zeroed memory. All pages but the first use
  /// memory only once they are written (docs/decisions/0008). On Windows all pages count at once
  /// against what the system can commit.
  /// Errors: `std::errc::invalid_argument` for 0 bytes; `std::errc::file_too_large` when the
  /// process's limit of file sizes is smaller (`sys::fits_file_limit`); `errc::not_supported` when
  /// the kernel cannot seal the memory (before 5.1); otherwise the system's, such as running out of
  /// memory or descriptors.
  static region create(std::size_t bytes, std::error_code& error) noexcept;

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }
  /// The handle to send to the peer. This object owns it; it is invalid after `close_handle`. On
  /// Windows it can be mapped for writing, so only `local_socket::send` may pass it on.
  native_handle shared_handle() const noexcept { return handle_.get(); }
  /// Closes the handle. To be called once the handle was sent (a handle in transit keeps the memory
  /// alive). The memory stays mapped and sealed. Has no effect when the handle is already closed.
  void close_handle() noexcept { handle_.reset(); }

private:
  friend void unmap(region own, peer_region peer) noexcept;
  handle handle_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A peer's region, mapped for reading. Its contents may change at any moment, and may be a lie.
///
/// On Linux it is certain to stay mapped at its full size, because `map` accepts only memory that
/// its owner can neither shrink nor unseal. So it is on Windows, where a section never changes its
/// size. Elsewhere the size is checked when the region is mapped; on a BSD a peer that shrinks it
/// later ends this process (docs/platforms.md).
///
/// Thread-safety: distinct objects from distinct threads.
/// Lifetime: destruction unmaps it; independent of the owner's mapping.
class peer_region {
public:
  peer_region() noexcept = default;
  peer_region(peer_region&& other) noexcept;
  peer_region& operator=(peer_region&& other) noexcept;
  ~peer_region();

  /// Maps the region that the peer sent. The handle is closed in any case; by `close_elsewhere`
  /// when it is not what it should be.
  /// Errors: `errc::bad_region` when it is not a memfd that is sealed against shrinking, growing,
  /// future writing and unsealing (on Windows: not a section of committed memory; elsewhere: not
  /// shared memory), when it is on huge pages, or when its size is not exactly `expected_bytes`
  /// (more than 0, rounded up to whole pages); otherwise the system's.
  static peer_region map(foreign_handle from_peer, std::size_t expected_bytes,
                         std::error_code& error) noexcept;

  const std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }

private:
  friend void unmap(region own, peer_region peer) noexcept;
  const std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// Unmaps both regions, in one system call when they lie side by side. They usually do when they
/// were mapped one after the other. One call is cheaper because most of the cost of unmapping is to
/// notify the other processors.
void unmap(region own, peer_region peer) noexcept;

/// The size of a page of memory, in bytes.
std::size_t page_size() noexcept;

}  // namespace ringbell::sys
