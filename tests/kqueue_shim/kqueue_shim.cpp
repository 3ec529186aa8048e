// SPDX-License-Identifier: BSL-1.0

// A kqueue is an epoll set, edge-triggered, so it can be polled and watched by others; what has no
// descriptor of its own gets one (timerfd, eventfd, signalfd), which is in the set. So everything
// behaves as with EV_CLEAR; timers as with EV_ONESHOT. One descriptor has one entry in the set for
// both filters: what changes in one of them may be reported by the other as well, for nothing.
//
// Closing a kqueue has to close its helpers as well: so programs are linked with --wrap=close.
//
// As on the BSDs, an entry ends with its descriptor. epoll keeps it for as long as somebody else
// has the file open: each entry has a generation, and what comes with an old one is dropped.

#include <sys/event.h>

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cstddef>
#include <cstdint>
#include <mutex>
#include <vector>

extern "C" int __real_close(int fd);

namespace {

struct filter {
  bool on = false;
  std::uint32_t fflags = 0;
  void* udata = nullptr;
};

// Of one watched descriptor.
struct entry {
  std::uint32_t generation = 0;
  filter read;
  filter write;
};

// What is no descriptor, and the one that stands for it.
struct helper {
  std::uintptr_t ident;
  std::int16_t kind;
  int fd;
  filter state;
};

class queue {
public:
  // Room at once: tests count allocations.
  explicit queue(int set) : set_(set) { entries_.resize(1024); }
  ~queue() {
    for (const helper& h : helpers_) __real_close(h.fd);
  }
  queue(const queue&) = delete;
  queue& operator=(const queue&) = delete;

  /// 0, or the error.
  int change(const struct kevent& c) {
    if (const int error = kqueue_shim_fault ? kqueue_shim_fault(&c) : 0) return error;
    const std::lock_guard lock(mutex_);
    return c.filter == EVFILT_READ || c.filter == EVFILT_WRITE ? change_entry(c) : change_helper(c);
  }

  int wait(struct kevent* events, int room, const timespec* timeout) {
    std::array<epoll_event, 64> batch;
    const int most = std::clamp(
        room / 2, 1,
        static_cast<int>(batch.size()));  // a descriptor may have something to say for both filters
    for (;;) {
      const int found = static_cast<int>(
          ::syscall(SYS_epoll_pwait2, set_, batch.data(), most, timeout, nullptr, std::size_t{0}));
      if (found < 0) return -1;
      const std::lock_guard lock(mutex_);
      int count = 0;
      for (int i = 0; i < found; ++i)
        count += report(batch[static_cast<std::size_t>(i)], events + count, room - count);
      if (count > 0 || timeout) return count;
    }
  }

private:
  int change_entry(const struct kevent& c) {
    const auto fd = static_cast<std::size_t>(c.ident);
    if (fd >= entries_.size()) entries_.resize(fd + 1);
    entry& e = entries_[fd];
    filter& f = c.filter == EVFILT_READ ? e.read : e.write;
    if (!(c.flags & EV_ADD) && !f.on) return ENOENT;
    if (c.flags & EV_ADD) {
      if (!e.read.on && !e.write.on) ++e.generation;
      f = {true, c.fflags, c.udata};
    } else {
      f = {};
    }
    epoll_event request{};
    request.events = EPOLLET | EPOLLRDHUP;
    if (e.read.on && !(e.read.fflags & NOTE_LOWAT)) request.events |= EPOLLIN;
    if (e.write.on) request.events |= EPOLLOUT;
    request.data.u64 = std::uint64_t{e.generation} << 32 | fd;
    if (!e.read.on && !e.write.on) {
      // Fails where the descriptor has been closed, which is as good. By number: another thread may
      // have it by now, and the thread sanitizer would call this a race.
      ::syscall(SYS_epoll_ctl, set_, EPOLL_CTL_DEL, static_cast<int>(fd), nullptr);
      return 0;
    }
    int result = ::epoll_ctl(set_, EPOLL_CTL_ADD, static_cast<int>(fd), &request);
    if (result != 0 && errno == EEXIST)
      result = ::epoll_ctl(set_, EPOLL_CTL_MOD, static_cast<int>(fd), &request);
    if (result != 0) f = {};
    return result == 0 ? 0 : errno;
  }

  int change_helper(const struct kevent& c) {
    const auto found = std::find_if(helpers_.begin(), helpers_.end(), [&](const helper& h) {
      return h.kind == c.filter && h.ident == c.ident;
    });
    const bool there = found != helpers_.end();
    if (!(c.flags & EV_ADD) && (!there || !found->state.on)) return ENOENT;
    if (!there && !make_helper(c)) return errno;
    helper& h = there ? *found : helpers_.back();
    if (c.flags & EV_ADD) h.state = {true, c.fflags, c.udata};
    if (c.flags & EV_DELETE) h.state = {};
    if (c.filter == EVFILT_TIMER) {
      itimerspec setting{};
      if (h.state.on)
        setting.it_value = {static_cast<time_t>(c.data / 1'000'000'000),
                            static_cast<long>(c.data % 1'000'000'000)};
      return ::timerfd_settime(h.fd, 0, &setting, nullptr) == 0 ? 0 : errno;
    }
    const std::uint64_t one = 1;
    if (c.filter == EVFILT_USER && (c.fflags & NOTE_TRIGGER))
      return ::write(h.fd, &one, sizeof one) > 0 ? 0 : errno;
    return 0;
  }

  bool make_helper(const struct kevent& c) {
    int fd = -1;
    if (c.filter == EVFILT_TIMER)
      fd = ::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
    if (c.filter == EVFILT_USER) fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (c.filter == EVFILT_SIGNAL) {
      sigset_t one;
      ::sigemptyset(&one);
      ::sigaddset(&one, static_cast<int>(c.ident));
      fd = ::signalfd(-1, &one, SFD_CLOEXEC | SFD_NONBLOCK);
    }
    if (fd < 0) return false;
    helpers_.push_back({c.ident, c.filter, fd, {}});
    epoll_event request{};
    request.events = EPOLLIN | EPOLLET;
    request.data.u64 = helpers_.size() - 1;
    return ::epoll_ctl(set_, EPOLL_CTL_ADD, fd, &request) == 0;
  }

  int report(const epoll_event& happened, struct kevent* to, int room) {
    const auto index = static_cast<std::size_t>(happened.data.u64 & 0xffffffff);
    if (happened.data.u64 >> 32 == 0) return report_helper(helpers_[index], to);
    const entry& e = entries_[index];
    if (e.generation != happened.data.u64 >> 32) return 0;
    constexpr std::uint32_t over = EPOLLHUP | EPOLLERR;
    const std::uint32_t error = happened.events & EPOLLERR ? ECONNRESET : 0;
    int count = 0;
    const auto add = [&](std::int16_t kind, const filter& f, bool end) {
      if (count == room) return;
      EV_SET(&to[count], index, kind, static_cast<std::uint16_t>(end ? EV_EOF : 0), end ? error : 0,
             0, f.udata);
      ++count;
    };
    const bool lowat = (e.read.fflags & NOTE_LOWAT) != 0;
    const bool read_end = (happened.events & (over | EPOLLRDHUP)) != 0;
    if (e.read.on && (read_end || (!lowat && happened.events & EPOLLIN)))
      add(EVFILT_READ, e.read, read_end);
    if (e.write.on && happened.events & (EPOLLOUT | over))
      add(EVFILT_WRITE, e.write, (happened.events & over) != 0);
    return count;
  }

  int report_helper(helper& h, struct kevent* to) {
    if (!h.state.on) return 0;
    std::uint64_t expirations;
    // Nothing to read: it was set anew after this event was queued.
    if (h.kind == EVFILT_TIMER && ::read(h.fd, &expirations, sizeof expirations) < 0) return 0;
    EV_SET(to, h.ident, h.kind, 0, 0, 1, h.state.udata);
    if (h.kind == EVFILT_TIMER) h.state = {};
    return 1;
  }

  const int set_;
  std::mutex mutex_;
  std::vector<entry> entries_;  // by descriptor
  std::vector<helper> helpers_;
};

// By descriptor. Without a lock, so that close() can look in a forked child.
std::array<std::atomic<queue*>, 1 << 20> queues;

}  // namespace

int kqueue() noexcept {
  const int set = ::epoll_create1(0);
  if (set >= 0) delete queues.at(static_cast<std::size_t>(set)).exchange(new queue(set));
  return set;
}

int kevent(int fd, const struct kevent* changes, int change_count, struct kevent* events,
           int event_count, const timespec* timeout) noexcept {
  queue* const q = fd < 0 ? nullptr : queues.at(static_cast<std::size_t>(fd)).load();
  if (!q) {
    errno = EBADF;
    return -1;
  }
  if (const int error = kqueue_shim_fault ? kqueue_shim_fault(nullptr) : 0) {
    errno = error;
    return -1;
  }
  int reported = 0;
  for (int i = 0; i < change_count; ++i) {
    const int error = q->change(changes[i]);
    if (error == 0 && !(changes[i].flags & EV_RECEIPT)) continue;
    if (reported == event_count) {
      errno = error;
      if (error == 0) continue;
      return -1;
    }
    events[reported] = changes[i];
    events[reported].flags |= EV_ERROR;
    events[reported++].data = error;
  }
  return reported > 0 || event_count == 0 ? reported : q->wait(events, event_count, timeout);
}

extern "C" int __wrap_close(int fd) {
  if (fd >= 0 && static_cast<std::size_t>(fd) < queues.size() &&
      queues[static_cast<std::size_t>(fd)].load())
    delete queues[static_cast<std::size_t>(fd)].exchange(nullptr);
  return __real_close(fd);
}
