// SPDX-License-Identifier: BSL-1.0
#include "sys/posix/closing_thread.hpp"

#include "sys/posix/socket_calls.hpp"
#include "sys/posix/syscall.hpp"

#include <ringbell/sys/quiet_thread.hpp>

#include <dlfcn.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <bit>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <span>
#include <thread>

namespace ringbell::sys {

namespace {

/// A set of descriptors. Adding one allocates nothing and takes no lock, so it cannot fail.
class descriptor_set {
public:
  /// The number of descriptors that a process can have by default (fs.nr_open).
  static constexpr int capacity = 1 << 20;

  void add(int fd) noexcept {
    const auto word = static_cast<std::size_t>(fd) / 64;
    std::size_t used = used_.load();
    while (used <= word && !used_.compare_exchange_weak(used, word + 1)) {}
    words_[word].fetch_or(bit(fd));
  }
  bool remove(int fd) noexcept {
    return (words_[static_cast<std::size_t>(fd) / 64].fetch_and(~bit(fd)) & bit(fd)) != 0;
  }

  std::size_t size() const noexcept {
    std::size_t n = 0;
    for (std::size_t i = 0; i < used_; ++i)
      n += static_cast<std::size_t>(std::popcount(words_[i].load()));
    return n;
  }
  template <class F>
  void for_each(F f) const noexcept {
    for (std::size_t i = 0; i < used_; ++i)
      for (std::uint64_t left = words_[i]; left != 0; left &= left - 1)
        f(static_cast<int>(i) * 64 + std::countr_zero(left));
  }

  void clear() noexcept {
    for (std::size_t i = 0; i < used_; ++i) words_[i] = 0;
  }

private:
  static std::uint64_t bit(int fd) noexcept { return std::uint64_t{1} << (fd % 64); }
  std::array<std::atomic<std::uint64_t>, capacity / 64> words_{};
  std::atomic<std::size_t> used_{0};
};

// These are never destroyed, because the thread uses them until the process ends.
constinit descriptor_set to_close;
// The members of `to_close` that are sockets of this library with handles in them.
constinit descriptor_set unread;
constinit std::atomic<std::uint32_t> additions{0};
constinit std::atomic<bool> closing_one{false};
constinit std::atomic<bool> has_thread{false};

// The process to which these sets belong. With `being_cleared`, it is a forked child that is about
// to clear what its parent left in its memory.
constinit std::atomic<std::uint64_t> owner{0};
constexpr std::uint64_t being_cleared = std::uint64_t{1} << 63;

/// Clears the sets in a forked child. The child has none of its parent's threads, and may have
/// closed its copies of the descriptors, so the numbers mean nothing in it.
void forget_the_parents() noexcept {
  const std::uint64_t here = current_process();
  std::uint64_t known = owner.load();
  while (known != here) {
    if (known == (here | being_cleared)) {  // another thread is clearing them
      std::this_thread::yield();
      known = owner.load();
    } else if (owner.compare_exchange_strong(known, here | being_cleared)) {
      to_close.clear();
      unread.clear();
      closing_one = false;
      has_thread = false;
      owner = here;
      return;
    }
  }
}

void close_foreign(handle h, int depth) noexcept;

// A socket can contain sockets that contain sockets; the kernel allows few levels.
constexpr int deepest = 8;

/// Takes the handles out of a socket and closes each as if it had come alone. On Linux handles are
/// peeked at before they are taken: sockets among them no longer linger when the kernel drops its
/// reference.
void empty(native_handle socket, int depth) noexcept {
  // More than a peer can have put into a socket of ours. Another socket may receive data all the
  // time.
  constexpr int reads = 100'000;
  // For the case that there is no descriptor for any of the handles: some may become free.
  constexpr int attempts = 100;
  constexpr std::chrono::milliseconds pause{10};
  int waited = 0;
  for (int i = 0; i < reads; ++i) {
    std::byte sink[4096];
    alignas(cmsghdr) std::byte control[control_room];
    iovec bytes{sink, sizeof sink};
    msghdr message{};
    message.msg_iov = &bytes;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = sizeof control;
    const auto n = retry([&] { return ::recvmsg(socket, &message, receive_flags()); });
    if (n <= 0) return;
    bool any = false;
    for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
      if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
      for (std::size_t at = 0; at + sizeof(int) <= c->cmsg_len - CMSG_LEN(0); at += sizeof(int)) {
        int fd;
        std::memcpy(&fd, CMSG_DATA(c) + at, sizeof fd);
        close_foreign(handle(fd), depth + 1);
        any = true;
      }
    }
    if (!any && (message.msg_flags & MSG_CTRUNC) != 0 && waited++ < attempts) {
      std::this_thread::sleep_for(pause);
      continue;
    }
    if (!take_received(socket, std::span(sink).first(static_cast<std::size_t>(n)))) return;
  }
}

void close_foreign(handle h, int depth) noexcept {
  int type = 0;
  socklen_t size = sizeof type;
  if (::getsockopt(h.get(), SOL_SOCKET, SO_TYPE, &type, &size) != 0) return;  // not a socket
  const linger at_once{};
  (void)::setsockopt(h.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  sockaddr_storage name{};
  size = sizeof name;
  const bool local = ::getsockname(h.get(), reinterpret_cast<sockaddr*>(&name), &size) == 0 &&
                     name.ss_family == AF_UNIX;
  if (local && depth < deepest) empty(h.get(), depth);
}

void close_one(int fd) noexcept {
  // The number is removed from both sets before another file can get it.
  const bool ours = unread.remove(fd);
  to_close.remove(fd);
  handle closing(fd);
  if (!ours) return close_foreign(std::move(closing), 0);
  while (handle client = accept_socket(fd)) empty(client.get(), 0);  // when it listens
  empty(fd, 0);
  ::shutdown(fd, SHUT_RDWR);  // a doorbell may have a second descriptor of it
}

void run() noexcept {
  for (;;) {
    const std::uint32_t seen = additions.load();
    to_close.for_each([](int fd) {
      closing_one = true;
      close_one(fd);
      closing_one = false;
    });
    additions.wait(seen);
  }
}

/// Keeps the code of this library in memory when a program unloads the library, because the thread
/// runs it.
void keep_loaded() noexcept {
#ifdef RTLD_NODELETE
  Dl_info here{};
  if (::dladdr(reinterpret_cast<void*>(&keep_loaded), &here) != 0 && here.dli_fname)
    (void)::dlopen(here.dli_fname, RTLD_LAZY | RTLD_NOLOAD | RTLD_NODELETE);
#endif
}

void start_thread() noexcept {
  if (has_thread.exchange(true)) return;
  try {
    keep_loaded();
    quiet_thread(&run).detach();
  } catch (...) {
    has_thread = false;  // the handles wait for the next attempt
  }
}

void add(handle closing, bool ours) noexcept {
  // A number that is larger than a process has by default is closed here after all.
  if (!closing || closing.get() >= descriptor_set::capacity) return;
  forget_the_parents();
  const native_handle fd = closing.release();
  if (ours) unread.add(fd);
  to_close.add(fd);
  additions.fetch_add(1);
  additions.notify_one();
  start_thread();
}

}  // namespace

void close_elsewhere(handle from_peer) noexcept { add(std::move(from_peer), false); }
void close_unread(handle socket) noexcept { add(std::move(socket), true); }

std::size_t closing_elsewhere() noexcept {
  forget_the_parents();
  const std::size_t left = to_close.size() + (closing_one ? 1 : 0);
  if (left != 0) start_thread();
  return left;
}

}  // namespace ringbell::sys
