// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/foreign_handle.hpp>
#include <ringbell/sys/handle.hpp>

#include <cstddef>
#include <system_error>

namespace ringbell::sys {

class peer_region;

/// Shared memory that this process created, alone may write, and can hand to a peer for reading.
/// The one rule of ringbell (you write only what you own) rests on it: once `create` has returned,
/// no descriptor of it, however it travelled, can be mapped for writing, resized or unsealed, by
/// anybody. On Linux seals see to that; on macOS and the BSDs, that the descriptor was opened for
/// reading; on Windows, that what leaves this process is a duplicate of the handle with the right
/// to read alone (`local_socket::send`).
///
/// It has no name: nothing is left in a file system, whoever dies and when.
/// Thread-safety: distinct objects from distinct threads. Lifetime: unmapped and closed on
/// destruction; the peer's mapping lives on. The handle is needed for the handover alone:
/// `close_handle` lets go of it early, so that a connection costs no descriptor for it.
class region {
public:
  region() noexcept = default;
  region(region&& other) noexcept;
  region& operator=(region&& other) noexcept;
  ~region();

  /// Creates `bytes` (rounded up to whole pages) of zeroed memory. Pages but the first take memory
  /// once they are written (docs/decisions/0008); on Windows all count against what the system can
  /// commit from the beginning. Errors: `std::errc::invalid_argument` for 0 bytes;
  /// `std::errc::file_too_large` when the process's limit of file sizes is less
  /// (`sys::fits_file_limit`); `errc::not_supported` when the kernel cannot seal it (before 5.1);
  /// else the system's (out of memory or descriptors).
  static region create(std::size_t bytes, std::error_code& error) noexcept;

  std::byte* data() const noexcept { return data_; }
  std::size_t size() const noexcept { return size_; }
  explicit operator bool() const noexcept { return data_ != nullptr; }
  /// The handle to be passed to the peer. Owned by this object; invalid after `close_handle`. On
  /// Windows it can be mapped for writing: only `local_socket::send` may pass it on.
  native_handle shared_handle() const noexcept { return handle_.get(); }
  /// Closes the handle, to be called once it was sent (what is under way keeps the memory alive).
  /// The memory stays mapped, and sealed. No effect when it is closed already.
  void close_handle() noexcept { handle_.reset(); }

private:
  friend void unmap(region own, peer_region peer) noexcept;
  handle handle_;
  std::byte* data_ = nullptr;
  std::size_t size_ = 0;
};

/// A peer's region, mapped for reading. What it contains may change at any moment and may be a lie;
/// that it stays mapped, at its full size, is guaranteed on Linux, where `map` accepts only memory
/// that its owner can neither shrink nor unseal, and on Windows, where a section never changes its
/// size. Elsewhere the size is checked when it is mapped, and a peer that shrinks it on a BSD ends
/// this process (docs/platforms.md).
/// Thread-safety: distinct objects from distinct threads. Lifetime: unmapped on destruction;
/// independent of the owner's.
class peer_region {
public:
  peer_region() noexcept = default;
  peer_region(peer_region&& other) noexcept;
  peer_region& operator=(peer_region&& other) noexcept;
  ~peer_region();

  /// Maps what the peer handed over; the handle is closed in any case, elsewhere when it is not
  /// what it should be. Errors: `errc::bad_region` when it is not a memfd sealed against shrinking,
  /// growing, future writing and unsealing (on Windows: no section of committed memory; elsewhere:
  /// not shared memory), when it is on huge pages, or when it is not exactly `expected_bytes` (more
  /// than 0, rounded up to whole pages) long; else the system's.
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

/// Unmaps both, in one system call when they lie side by side (which they do, as a rule, when they
/// were mapped one after the other): what unmapping costs is for the most part telling the other
/// processors.
void unmap(region own, peer_region peer) noexcept;

/// The size of a page of memory, in bytes.
std::size_t page_size() noexcept;

}  // namespace ringbell::sys
