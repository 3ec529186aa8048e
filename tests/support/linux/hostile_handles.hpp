// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <new>
#include <span>
#include <vector>

#include "support/applies.hpp"
#include "support/lingering_connection.hpp"
#include "support/raw_peer.hpp"

/// Handles of every kind, as a hostile peer may send them.
namespace ringbell::test {

/// A memfd with these seals; all of it is a hole unless `allocate`.
inline sys::handle memory(std::size_t size, int seals, bool allocate = true) {
  sys::handle h(::memfd_create("test", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  REQUIRE(::ftruncate(h.get(), static_cast<off_t>(size)) == 0);
  if (allocate) REQUIRE(::fallocate(h.get(), 0, 0, static_cast<off_t>(size)) == 0);
  if (seals != 0) REQUIRE(::fcntl(h.get(), F_ADD_SEALS, seals) == 0);
  return h;
}
inline constexpr int future_write = 0x10;
inline constexpr int all_seals = F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL | future_write;
inline constexpr std::size_t region_bytes = ring::control_bytes + raw_client::ring_bytes;

/// A region that is sealed as it should be, with a control page as `change` leaves it.
inline sys::handle sealed_page(const std::function<void(ring::control_page&)>& change) {
  sys::handle h = memory(region_bytes, 0);
  void* const mapped =
      ::mmap(nullptr, region_bytes, PROT_READ | PROT_WRITE, MAP_SHARED, h.get(), 0);
  REQUIRE(mapped != MAP_FAILED);
  auto* const page = new (mapped) ring::control_page;
  page->ring_bytes = raw_client::ring_bytes;
  change(*page);
  REQUIRE(::fcntl(h.get(), F_ADD_SEALS, all_seals) == 0);
  ::munmap(mapped, region_bytes);
  return h;
}

/// Of the size of a region, but memory that the system gives no guarantees for.
inline sys::handle weak_memory() { return memory(region_bytes, 0); }

/// What can be sent, and is no memory.
inline sys::handle event() { return sys::handle(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)); }

/// The peer says nothing any more, but listens on. False where connections are closed as a whole
/// only.
inline bool says_no_more(raw_peer& p) { return ::shutdown(p.socket.native(), SHUT_WR) == 0; }

/// Whether the kernel lets a process keep handles out of its sockets (6.16): then nothing can
/// travel with bells.
inline bool keeps_handles_out() {
  if constexpr ((here_and_now & kqueue_hosts) != 0)
    return false;  // the sources of the BSDs do not ask for it
  std::error_code error;
  const auto ends = sys::local_socket::pair(error);
  const int off = 0;
  return ::setsockopt(ends[0].native(), SOL_SOCKET, 83 /* SO_PASSRIGHTS */, &off, sizeof off) == 0;
}

/// From now on this process is told that its kernel does not know that option. False when it may
/// not filter its system calls.
inline bool forget_how_to_keep_handles_out() {
  sock_filter filter[] = {
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_setsockopt, 0, 3),
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, args[2])),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 83, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  };
  sock_fprog program{static_cast<unsigned short>(std::size(filter)), filter};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0;
}

/// As many handles as the kernel lets travel, with any flags: what a peer can do that does not use
/// this library.
inline bool send_with_handles(sys::native_handle socket, std::span<const std::byte> bytes,
                              const std::vector<sys::native_handle>& handles, int flags = 0) {
  std::vector<std::byte> control(CMSG_SPACE(sizeof(int) * handles.size()));
  iovec payload{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  message.msg_control = control.data();
  message.msg_controllen = control.size();
  cmsghdr* const header = CMSG_FIRSTHDR(&message);
  header->cmsg_level = SOL_SOCKET;
  header->cmsg_type = SCM_RIGHTS;
  header->cmsg_len = CMSG_LEN(sizeof(int) * handles.size());
  std::memcpy(CMSG_DATA(header), handles.data(), sizeof(int) * handles.size());
  return ::sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT | flags) ==
         static_cast<ssize_t>(bytes.size());
}
/// The most that travel with one message.
inline constexpr std::size_t most_handles = 253;

/// A Unix socket with this handle in its backlog.
inline sys::handle socket_with(sys::native_handle inside) {
  int ends[2];
  REQUIRE(socket_pair_closed_on_exec(ends) == 0);
  const sys::handle sender(ends[0]);
  sys::handle receiver(ends[1]);
  REQUIRE(send_with_handles(sender.get(), std::as_bytes(std::span("x")), {inside}));
  return receiver;
}

/// What may travel with any bytes.
inline std::vector<sys::native_handle> for_a_flood(sys::native_handle memory) {
  return {0, 1, 2, memory};
}

/// Makes a bell such that whoever rings it once more waits: the counter filled to the brim, and
/// made blocking.
inline void jam(const sys::event_bell& bell) {
  if (!bell) return;
  const std::uint64_t most = ~std::uint64_t{1};
  (void)::fcntl(bell.native(), F_SETFL, O_NONBLOCK);
  while (::write(bell.native(), &most, sizeof most) > 0) {}
  (void)::fcntl(bell.native(), F_SETFL, 0);
}

}  // namespace ringbell::test
