// SPDX-License-Identifier: BSL-1.0
#pragma once
#pragma GCC system_header  // as it would be: a struct and a function of one name

// As much of kqueue as ringbell uses, on Linux, for its tests: src/loop/kqueue.cpp and src/sys/bsd/ are compiled against it, unchanged. It shows
// that we follow the manual of kqueue as we read it; how Apple's kernel reads it, only that can show. kqueue_shim.cpp says what is missing.

#include <cstdint>

struct timespec;

struct kevent {
  std::uintptr_t ident;
  std::int16_t filter;
  std::uint16_t flags;
  std::uint32_t fflags;
  std::intptr_t data;
  void* udata;
};

#define EV_SET(event, ident_, filter_, flags_, fflags_, data_, udata_) \
  do {                                                                 \
    (event)->ident = (ident_);                                         \
    (event)->filter = (filter_);                                       \
    (event)->flags = (flags_);                                         \
    (event)->fflags = (fflags_);                                       \
    (event)->data = (data_);                                           \
    (event)->udata = (udata_);                                         \
  } while (false)

inline constexpr std::int16_t EVFILT_READ = -1;
inline constexpr std::int16_t EVFILT_WRITE = -2;
inline constexpr std::int16_t EVFILT_SIGNAL = -6;
inline constexpr std::int16_t EVFILT_TIMER = -7;
inline constexpr std::int16_t EVFILT_USER = -10;

inline constexpr std::uint16_t EV_ADD = 0x0001;
inline constexpr std::uint16_t EV_DELETE = 0x0002;
inline constexpr std::uint16_t EV_ONESHOT = 0x0010;
inline constexpr std::uint16_t EV_CLEAR = 0x0020;
inline constexpr std::uint16_t EV_RECEIPT = 0x0040;
inline constexpr std::uint16_t EV_ERROR = 0x4000;
inline constexpr std::uint16_t EV_EOF = 0x8000;

inline constexpr std::uint32_t NOTE_LOWAT = 0x00000001;
inline constexpr std::uint32_t NOTE_NSECONDS = 0x00000004;
inline constexpr std::uint32_t NOTE_TRIGGER = 0x01000000;

int kqueue() noexcept;
int kevent(int queue, const struct kevent* changes, int change_count, struct kevent* events, int event_count,
           const timespec* timeout) noexcept;

// Not of the BSDs. What tests let fail: called for each kevent(), with null, and for each of its
// changes; gives an error, or 0. Of a call that fails no change is made.
inline int (*kqueue_shim_fault)(const struct kevent* change) = nullptr;
