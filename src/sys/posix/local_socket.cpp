// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/local_socket.hpp>

#include "sys/posix/closing_thread.hpp"
#include "sys/posix/socket_calls.hpp"
#include "sys/posix/syscall.hpp"
#include "sys/posix/unix_address.hpp"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <limits>

namespace ringbell::sys {

namespace {

// These types differ between the systems.
using control_length = decltype(msghdr::msg_controllen);
using header_length = decltype(cmsghdr::cmsg_len);

// Enough for what `send` accepts, whatever padding the system adds (CMSG_SPACE is not a constant on
// every system).
constexpr std::size_t sent_room = 4 * sizeof(cmsghdr) + sizeof(int) * received_handles::capacity;

std::error_code transfer_error() noexcept {
  if (errno == EAGAIN || errno == EWOULDBLOCK) return errc::would_block;
  if (errno == EPIPE || errno == ECONNRESET) return errc::peer_closed;
  return last_error();
}

std::error_code connect_error() noexcept {
  if (errno == EAGAIN) return errc::would_block;
  if (errno == ENOENT || errno == ECONNREFUSED) return errc::no_server;
  return last_error();
}

void close_all(received_handles& handles) noexcept {
  for (foreign_handle& h : handles.items) h.reset();
  handles.count = 0;
}

}  // namespace

std::size_t collect(msghdr& message, received_handles& into) noexcept {
  std::size_t count = 0;
  for (cmsghdr* c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
    if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS) continue;
    const std::size_t here = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (std::size_t i = 0; i < here; ++i, ++count) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(c) + i * sizeof fd, sizeof fd);
      foreign_handle owned{handle(fd)};
      close_on_exec(fd);
      if (into.count < into.items.size()) into.items[into.count++] = std::move(owned);
    }
  }
  return count;
}

local_socket local_socket::connect(const std::string& path, std::error_code& error) noexcept {
  const unix_address address(path);
  if (!address) {
    error = errc::bad_name;
    return {};
  }
  local_socket made{open_socket()};
  if (!made) {
    error = last_error();
    return {};
  }
  if (retry([&] { return ::connect(made.native(), address.get(), address.size()); }) != 0) {
    error = connect_error();
    return {};
  }
  error.clear();
  return made;
}

std::array<local_socket, 2> local_socket::pair(std::error_code& error) noexcept {
  handle one, other;
  error = open_socket_pair(one, other) != 0 ? last_error() : std::error_code();
  return {local_socket(std::move(one)), local_socket(std::move(other))};
}

result<peer_identity> local_socket::peer() const noexcept { return identity_of_peer(native()); }

result<std::size_t> local_socket::send(std::span<const std::byte> bytes,
                                       std::span<const native_handle> handles) noexcept {
  // Handles travel only together with a byte.
  if (handles.size() > received_handles::capacity || (bytes.empty() && !handles.empty()))
    return std::make_error_code(std::errc::invalid_argument);

  iovec payload{const_cast<std::byte*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &payload;
  message.msg_iovlen = 1;
  alignas(cmsghdr) std::byte control[sent_room] = {};
  if (!handles.empty()) {
    message.msg_control = control;
    message.msg_controllen = static_cast<control_length>(CMSG_SPACE(handles.size_bytes()));
    cmsghdr* const header = CMSG_FIRSTHDR(&message);
    header->cmsg_level = SOL_SOCKET;
    header->cmsg_type = SCM_RIGHTS;
    header->cmsg_len = static_cast<header_length>(CMSG_LEN(handles.size_bytes()));
    std::memcpy(CMSG_DATA(header), handles.data(), handles.size_bytes());
  }
  const auto sent = retry([&] { return ::sendmsg(native(), &message, send_flags()); });
  if (sent < 0) return transfer_error();
  return static_cast<std::size_t>(sent);
}

result<std::size_t> local_socket::receive(std::span<std::byte> into,
                                          received_handles& handles) noexcept {
  // With an empty buffer the result would look like a hang-up.
  if (into.empty()) return std::make_error_code(std::errc::invalid_argument);

  iovec payload{into.data(), into.size()};
  alignas(cmsghdr) std::byte control[control_room];
  msghdr message{};
  const auto received = retry([&] {
    message = {};
    message.msg_iov = &payload;
    message.msg_iovlen = 1;
    message.msg_control = control;
    message.msg_controllen = static_cast<control_length>(control_bytes());
    return ::recvmsg(native(), &message, receive_flags());
  });
  if (received < 0) return transfer_error();

  const std::size_t had = handles.count;
  const std::size_t came = collect(message, handles);
  const bool truncated = (message.msg_flags & MSG_CTRUNC) != 0;
  if (truncated || had + came > received_handles::capacity) {
    close_all(handles);
    // The control data was truncated although there was room left: this process is at its limit of
    // descriptors, and the peer is not to blame.
    if (truncated && came < received_handles::capacity)
      return std::make_error_code(std::errc::too_many_files_open);
    return errc::bad_peer;
  }
  if (!take_received(native(), into.first(static_cast<std::size_t>(received))))
    return errc::bad_peer;
  return static_cast<std::size_t>(received);
}

bool local_socket::let_no_handles_in() noexcept { return end_.let_no_handles_in(); }

std::error_code local_socket::ring() noexcept {
  const std::byte bell{};
  if (insist([&] { return ::send(native(), &bell, 1, send_flags()); }) >= 0) return {};
  const std::error_code error = transfer_error();
  return error == errc::would_block ? std::error_code() : error;
}

bool local_socket::drain() noexcept {
  // The bound is far above what a socket buffer holds by default, so only a peer that never stops
  // ringing reaches it. Each read has made room, so its next ring is another event.
  constexpr int reads = 64;
  std::byte sink[4096];
  for (int i = 0; i < reads; ++i) {
    const auto n = retry([&] {
      return end_.lets_handles_in() ? receive_bytes(native(), sink)
                                    : ::recv(native(), sink, sizeof sink, MSG_DONTWAIT);
    });
    if (n == 0) return true;
    // Bytes that stay in the socket for lack of memory do no harm: a drain is followed by a look at
    // the ring, and another byte is another event.
    if (n < 0) return errno != EAGAIN && errno != EWOULDBLOCK && !lacks_memory(errno);
  }
  return false;
}

void local_socket::shut_down() noexcept { ::shutdown(native(), SHUT_RDWR); }

// Descriptors.

void descriptor_reserve::fill() noexcept {
  for (handle& one : spare_)
    if (!one && !(one = open_socket())) return;
}

bool descriptor_reserve::give_one() noexcept {
  for (handle& one : spare_)
    if (one) {
      one.reset();
      return true;
    }
  return false;
}

std::size_t descriptor_limit() noexcept {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur == RLIM_INFINITY)
    return std::numeric_limits<std::size_t>::max();
  return static_cast<std::size_t>(limit.rlim_cur);
}

// The listener.

namespace {

std::error_code path_error() noexcept {
  switch (errno) {
    case ENOENT:
    case ENOTDIR:
    case ELOOP:
    case ENAMETOOLONG:
    case EISDIR:
    case ENXIO:       // the name of the lock belongs to a socket
    case EOPNOTSUPP:  // likewise, on the BSDs
      return errc::bad_name;
    case EADDRINUSE: return errc::name_in_use;
    default: return last_error();
  }
}

bool is_at(const struct stat& opened, const std::string& path) noexcept {
  struct stat named{};
  return ::lstat(path.c_str(), &named) == 0 && named.st_dev == opened.st_dev &&
         named.st_ino == opened.st_ino;
}

// Text for messages: what is in the way of a listener, and what to do about it. Empty when nothing
// is.
std::string obstacle(const char* what, const std::string& path, bool (*right)(const struct stat&)) {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return {};
  if (!right(found)) return "; " + path + " is no " + what + "; remove it, or choose another path";
  if (found.st_uid == current_user()) return {};
  return std::string("; the ") + what + ' ' + path + " belongs to user " +
         std::to_string(found.st_uid) +
         "; when no server of that user is there any more, remove it, else choose another path";
}

bool is_socket(const struct stat& file) noexcept { return S_ISSOCK(file.st_mode); }
// A lock file is empty. Any other file belongs to somebody, and would be removed with the lock.
bool is_lock_file(const struct stat& file) noexcept {
  return S_ISREG(file.st_mode) && file.st_size == 0;
}

// With O_CREAT, in a sticky folder, the kernel refuses to open another user's file, even for root
// (fs.protected_regular). So an existing file is opened without O_CREAT. The other flags ensure
// that a link in its place is not followed and that a pipe does not block the call.
handle open_lock(const std::string& path) {
  constexpr int flags = O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY;
  handle there(retry([&] { return ::open(path.c_str(), flags); }));
  if (there || errno != ENOENT) return there;
  return handle(retry([&] { return ::open(path.c_str(), flags | O_CREAT | O_EXCL, 0600); }));
}

// Opens, or creates, the lock file and locks it. A server that is ending may remove the file
// between our open and our lock, and then we would lock a file that no other process finds. So
// check that the file still has its name, and otherwise start again.
handle take_lock(const std::string& path, std::error_code& error) {
  // Each lost attempt means that another server came or went in these microseconds.
  constexpr int attempts = 100;
  for (int i = 0; i < attempts; ++i) {
    handle lock = open_lock(path);
    if (!lock && errno == EEXIST) continue;  // another server came in between
    struct stat opened{};
    if (!lock || ::fstat(lock.get(), &opened) != 0) {
      error = path_error();
      return {};
    }
    if (!is_lock_file(opened)) {
      error = errc::bad_name;
      return {};
    }
    if (retry([&] { return ::flock(lock.get(), LOCK_EX | LOCK_NB); }) != 0) {
      error = errno == EWOULDBLOCK ? make_error_code(errc::name_in_use) : last_error();
      return {};
    }
    if (is_at(opened, path)) {
      error.clear();
      return lock;
    }
  }
  error = errc::name_in_use;
  return {};
}

// Removes what a dead server left. The lock excludes ringbell's servers; a server of another kind
// is recognized by its answer.
std::error_code remove_stale(const std::string& path, const unix_address& address) noexcept {
  struct stat found{};
  if (::lstat(path.c_str(), &found) != 0) return errno == ENOENT ? std::error_code() : path_error();
  if (!is_socket(found)) return errc::bad_name;

  const socket_end probe(open_socket());
  if (!probe) return last_error();
  if (retry([&] { return ::connect(probe.get(), address.get(), address.size()); }) == 0)
    return errc::name_in_use;
  // A full backlog, or a socket of another type, is also alive.
  if (errno == EAGAIN || errno == EPROTOTYPE) return errc::name_in_use;
  if (errno == ENOENT) return {};
  if (errno != ECONNREFUSED) return last_error();
  return ::unlink(path.c_str()) == 0 || errno == ENOENT ? std::error_code() : last_error();
}

}  // namespace

local_listener local_listener::bind(const std::string& path, bool for_all_users,
                                    std::error_code& error) {
  const unix_address address(path);
  if (!address) {
    error = errc::bad_name;
    return {};
  }
  local_listener made;
  made.path_ = path;
  made.lock_path_ = path + ".lock";
  made.process_ = ::getpid();
  made.lock_ = take_lock(made.lock_path_, error);
  if (error) return {};
  // From here on the destructor cleans up.
  if ((error = remove_stale(path, address))) return {};

  handle socket(open_socket());
  if (!socket) {
    error = last_error();
    return {};
  }
  if (bind_private(socket.get(), address, path) != 0) {
    error = path_error();
    return {};
  }
  made.socket_ = std::move(socket);

  // Widening the mode afterwards exposes nothing in between, and the umask would have removed bits
  // from a wider mode. The kernel reduces the backlog to its own limit.
  if ((for_all_users && ::fchmodat(AT_FDCWD, path.c_str(), 0666, AT_SYMLINK_NOFOLLOW) != 0) ||
      ::listen(made.native(), std::numeric_limits<int>::max()) != 0) {
    error = last_error();
    return {};
  }
  return made;
}

namespace {

/// Says why a descriptor is no socket to listen on, and finds the path that it is bound to. Empty
/// when it is one.
std::string fault_of_listening(native_handle socket, std::string& path) {
  int value = 0;
  socklen_t size = sizeof value;
  if (::getsockopt(socket, SOL_SOCKET, SO_TYPE, &value, &size) != 0) return "it is no socket";
  const int type = value;
  sockaddr_un address{};
  socklen_t length = sizeof address;
  if (::getsockname(socket, reinterpret_cast<sockaddr*>(&address), &length) != 0 ||
      address.sun_family != AF_UNIX)
    return "it is no Unix socket";
  if (type != SOCK_STREAM) return "it is no stream socket";
  size = sizeof value;
  // A system that cannot say whether a socket listens gives an error.
  if (::getsockopt(socket, SOL_SOCKET, SO_ACCEPTCONN, &value, &size) == 0 && value == 0)
    return "it does not listen";
  constexpr std::size_t before_path = offsetof(sockaddr_un, sun_path);
  const std::size_t room = length > before_path ? length - before_path : 0;
  path.assign(address.sun_path, ::strnlen(address.sun_path, std::min(room, max_socket_path)));
  return path.empty() ? "it is not bound to a path, and clients need one" : "";
}

}  // namespace

local_listener local_listener::adopt(handle listening, std::string& why_not,
                                     std::error_code& error) {
  local_listener made;
  why_not = fault_of_listening(listening.get(), made.path_);
  if (!why_not.empty()) {
    error = std::make_error_code(std::errc::invalid_argument);
    return {};
  }
  // A socket that was passed is open across exec, and may be blocking.
  const int flags = ::fcntl(listening.get(), F_GETFL);
  if (flags < 0 || ::fcntl(listening.get(), F_SETFL, flags | O_NONBLOCK) != 0 ||
      ::fcntl(listening.get(), F_SETFD, FD_CLOEXEC) != 0) {
    error = last_error();
    return {};
  }
  error.clear();
  made.socket_ = std::move(listening);
  return made;
}

std::string local_listener::obstacles(const std::string& path) {
  return obstacle("socket", path, is_socket) + obstacle("lock file", path + ".lock", is_lock_file);
}

namespace {

/// Hangs up on the clients in the backlog; each socket is closed as `socket_end` closes one that
/// was not read. Returns false when some may be left: there is no descriptor for them, or there are
/// too many.
bool hang_up_on_clients(native_handle listening) noexcept {
  // On Linux no client gets into the backlog afterwards, and accept() returns EINVAL when it is
  // empty.
  ::shutdown(listening, SHUT_RDWR);
  constexpr int most = 4096;  // Linux's largest backlog, unless an administrator has changed it
  for (int i = 0; i < most; ++i) {
    handle client = accept_socket(listening);
    if (!client && errno != EINTR && errno != ECONNABORTED)
      return errno == EINVAL || errno == EAGAIN || errno == EWOULDBLOCK;
    const socket_end closing(std::move(client));
  }
  return false;
}

}  // namespace

local_listener& local_listener::operator=(local_listener&& other) noexcept {
  if (this != &other) {
    close();
    socket_ = std::move(other.socket_);
    lock_ = std::move(other.lock_);
    path_ = std::move(other.path_);
    lock_path_ = std::move(other.lock_path_);
    process_ = other.process_;
  }
  return *this;
}

local_listener::~local_listener() { close(); }

void local_listener::close() noexcept {
  // A forked child shares the lock, but the name is its parent's. And when the lock file is not
  // ours any more, because somebody cleaned the folder, the name may already be another server's.
  struct stat locked{};
  const bool ours = process_ == ::getpid();
  if (lock_ && ours && ::fstat(lock_.get(), &locked) == 0 && is_at(locked, lock_path_)) {
    // The lock file is removed last: until then no other process can take the name.
    if (socket_) ::unlink(path_.c_str());
    ::unlink(lock_path_.c_str());
  }
  // Clients in the backlog may already have sent handles, which are closed with it. (A child's copy
  // closes nothing.)
  if (socket_ && ours && !hang_up_on_clients(socket_.get())) close_unread(std::move(socket_));
  socket_.reset();
  lock_.reset();
}

local_socket local_listener::accept(std::error_code& error) noexcept {
  for (;;) {
    handle accepted = accept_socket(native());
    if (accepted) {
      error.clear();
      return local_socket(std::move(accepted));
    }
    if (errno == EINTR || errno == ECONNABORTED) continue;
    error =
        errno == EAGAIN || errno == EWOULDBLOCK ? make_error_code(errc::would_block) : last_error();
    return {};
  }
}

}  // namespace ringbell::sys
