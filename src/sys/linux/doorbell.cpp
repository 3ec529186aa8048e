// SPDX-License-Identifier: BSL-1.0
#include <ringbell/sys/doorbell.hpp>

#include "sys/posix/syscall.hpp"

#include <sys/epoll.h>

#include <array>

namespace ringbell::sys {

namespace {

std::error_code add(native_handle set, native_handle what, std::uint32_t events) noexcept {
  epoll_event event{};
  event.events = events;
  return ::epoll_ctl(set, EPOLL_CTL_ADD, what, &event) == 0 ? std::error_code() : last_error();
}

}  // namespace

doorbell doorbell::create(local_socket& control, const event_bell& bell,
                          std::error_code& error) noexcept {
  doorbell made;
  made.by_bytes_ = !bell;
  made.set_ = handle(::epoll_create1(EPOLL_CLOEXEC));
  error = made.set_ ? std::error_code() : last_error();
  if (error) return made;
  if (made.by_bytes_) {
    // Level-triggered: taking the bytes off the socket makes it silent.
    error = add(made.set_.get(), control.native(), EPOLLIN | EPOLLRDHUP);
  } else {
    // Edge-triggered: the counter need not be read, and every ring causes an event.
    error = add(made.set_.get(), bell.native(), EPOLLIN | EPOLLET);
    if (!error) error = add(made.set_.get(), control.native(), EPOLLRDHUP | EPOLLET);
  }
  return made;
}

bool doorbell::answer(local_socket& control) noexcept {
  if (by_bytes_) return control.drain();
  std::array<epoll_event, 2> events;
  const int n = ::epoll_wait(set_.get(), events.data(), static_cast<int>(events.size()), 0);
  bool hung_up = false;
  for (int i = 0; i < n; ++i)
    hung_up |=
        (events[static_cast<std::size_t>(i)].events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0;
  return hung_up;
}

}  // namespace ringbell::sys
