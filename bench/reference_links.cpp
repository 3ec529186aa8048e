// SPDX-License-Identifier: BSL-1.0
// The physical limits: what two processes can do with nothing between them and the hardware, or the
// kernel.
#include "blocking_link.hpp"
#include "contenders.hpp"
#include "ring_size.hpp"
#include "shared_memory.hpp"

#include <ringbell/ring/endpoint.hpp>
#include <ringbell/ring/layout.hpp>

#include <fcntl.h>
#include <linux/futex.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <unistd.h>
#include <atomic>
#include <cstdint>
#include <optional>
#include <span>
#include <utility>

namespace ringbell::bench {

namespace {

void check_call(bool succeeded, const char* what) {
  if (!succeeded) throw std::system_error(errno, std::generic_category(), what);
}

/// Two counters, a line each. Nothing else crosses between the processors.
class cache_line_end {
public:
  static constexpr bool carries_nothing = true;
  explicit cache_line_end(const link_options&)
      : memory_(sizeof(lines)), lines_(memory_.make<lines>()) {}
  void become(side which) noexcept {
    own_ = which == side::parent ? &lines_.there : &lines_.back;
    other_ = which == side::parent ? &lines_.back : &lines_.there;
  }
  void send(const std::byte*, std::size_t) noexcept {
    own_->store(++sent_, std::memory_order_release);
  }
  void receive(std::byte*, std::size_t) noexcept {
    ++received_;
    while (other_->load(std::memory_order_acquire) != received_) {}
  }
  void flush() noexcept {}

private:
  struct lines {
    alignas(ring::line_bytes) std::atomic<std::uint64_t> there{0};
    alignas(ring::line_bytes) std::atomic<std::uint64_t> back{0};
  };
  shared_memory memory_;
  lines& lines_;
  std::atomic<std::uint64_t>* own_ = nullptr;
  const std::atomic<std::uint64_t>* other_ = nullptr;
  std::uint64_t sent_ = 0;
  std::uint64_t received_ = 0;
};

/// ringbell's rings and park protocol, of which nobody ever parks: no coroutine, no loop, no bell.
template <bool Batched>
class bare_ring_end {
public:
  explicit bare_ring_end(const link_options& options)
      : ring_bytes_(ring_bytes_for(options.size)),
        max_message_(options.size),
        memory_(2 * (ring::control_bytes + ring_bytes_)) {
    memory_.make<ring::control_page>();
    memory_.make<ring::control_page>(ring::control_bytes + ring_bytes_);
  }
  void become(side which) {
    std::byte* first = memory_.data();
    std::byte* second = first + ring::control_bytes + ring_bytes_;
    if (which == side::child) std::swap(first, second);
    ring::endpoint_memory m;
    m.own = reinterpret_cast<ring::control_page*>(first);
    m.own_data = first + ring::control_bytes;
    m.own_ring_bytes = ring_bytes_;
    m.peer = reinterpret_cast<const ring::control_page*>(second);
    m.peer_data = second + ring::control_bytes;
    m.peer_ring_bytes = ring_bytes_;
    endpoint_.emplace(m, max_message_, max_message_);
    endpoint_->hold(Batched);
  }
  void send(const std::byte* bytes, std::size_t size) {
    const std::span<const std::byte> piece(bytes, size);
    for (;;) {
      const errc e = endpoint_->try_send(gather_list(&piece, 1), size);
      if (e == errc{}) break;
      if (e != errc::would_block) throw std::system_error(e, "the bare ring");
      endpoint_->publish();
    }
    if constexpr (Batched)
      if (++held_ == messages_of_a_batch) flush();
  }
  void receive(std::byte* bytes, std::size_t size) {
    ring::message_view view;
    for (;;) {
      const errc e = endpoint_->receive(view);
      if (e == errc{}) break;
      if (e != errc::would_block) throw std::system_error(e, "the bare ring");
    }
    std::memcpy(bytes, view.data, size);
    endpoint_->release(endpoint_->read_position());
  }
  void flush() noexcept {
    if constexpr (Batched) {
      endpoint_->publish();
      held_ = 0;
    }
  }

private:
  std::uint64_t ring_bytes_;
  std::uint64_t max_message_;
  shared_memory memory_;
  std::optional<ring::endpoint> endpoint_;
  std::uint64_t held_ = 0;
};

/// Space for one message in each direction, which somebody must be told of by other means.
class slots {
public:
  explicit slots(std::uint64_t size)
      : size_((size + ring::line_bytes - 1) / ring::line_bytes * ring::line_bytes),
        memory_(2 * (ring::line_bytes + size_)) {}
  std::atomic<std::uint32_t>& word(bool back) const noexcept {
    return *reinterpret_cast<std::atomic<std::uint32_t>*>(memory_.data() +
                                                          (back ? ring::line_bytes + size_ : 0));
  }
  std::byte* bytes(bool back) const noexcept {
    return memory_.data() + ring::line_bytes + (back ? ring::line_bytes + size_ : 0);
  }

private:
  std::uint64_t size_;
  shared_memory memory_;
};

class futex_end {
public:
  explicit futex_end(const link_options& options) : slots_(options.size) {}
  void become(side which) noexcept { child_ = which == side::child; }
  void send(const std::byte* bytes, std::size_t size) {
    std::memcpy(slots_.bytes(child_), bytes, size);
    auto& word = slots_.word(child_);
    word.store(++sent_, std::memory_order_release);
    ::syscall(SYS_futex, &word, FUTEX_WAKE, 1, nullptr, nullptr, 0);
  }
  void receive(std::byte* bytes, std::size_t size) {
    auto& word = slots_.word(!child_);
    while (word.load(std::memory_order_acquire) == received_)
      ::syscall(SYS_futex, &word, FUTEX_WAIT, received_, nullptr, nullptr, 0);
    ++received_;
    std::memcpy(bytes, slots_.bytes(!child_), size);
  }
  void flush() noexcept {}

private:
  slots slots_;
  bool child_ = false;
  std::uint32_t sent_ = 0;
  std::uint32_t received_ = 0;
};

class eventfd_end {
public:
  explicit eventfd_end(const link_options& options)
      : slots_(options.size), there_(::eventfd(0, EFD_CLOEXEC)), back_(::eventfd(0, EFD_CLOEXEC)) {
    check_call(there_ >= 0 && back_ >= 0, "making an eventfd");
  }
  ~eventfd_end() { ::close(there_), ::close(back_); }
  eventfd_end(const eventfd_end&) = delete;
  eventfd_end& operator=(const eventfd_end&) = delete;
  std::vector<int> descriptors() const { return {there_, back_}; }
  void become(side which) noexcept { child_ = which == side::child; }
  void send(const std::byte* bytes, std::size_t size) {
    std::memcpy(slots_.bytes(child_), bytes, size);
    const std::uint64_t one = 1;
    check_call(::write(child_ ? back_ : there_, &one, sizeof one) == sizeof one,
               "writing an eventfd");
  }
  void receive(std::byte* bytes, std::size_t size) {
    std::uint64_t count = 0;
    check_call(::read(child_ ? there_ : back_, &count, sizeof count) == sizeof count,
               "reading an eventfd");
    std::memcpy(bytes, slots_.bytes(!child_), size);
  }
  void flush() noexcept {}

private:
  slots slots_;
  int there_;
  int back_;
  bool child_ = false;
};

/// Two pipes, as long as the kernel makes them.
class pipes_end {
public:
  explicit pipes_end(const link_options&) {
    check_call(::pipe2(there_, O_CLOEXEC) == 0 && ::pipe2(back_, O_CLOEXEC) == 0, "making a pipe");
  }
  ~pipes_end() {
    for (const int fd : descriptors()) ::close(fd);
  }
  pipes_end(const pipes_end&) = delete;
  pipes_end& operator=(const pipes_end&) = delete;
  std::vector<int> descriptors() const { return {there_[0], there_[1], back_[0], back_[1]}; }
  void become(side which) noexcept {
    in_ = which == side::parent ? back_[0] : there_[0];
    out_ = which == side::parent ? there_[1] : back_[1];
  }
  void send(const std::byte* bytes, std::size_t size) const {
    while (size != 0) {
      const ssize_t n = ::write(out_, bytes, size);
      check_call(n > 0, "writing to a pipe");
      bytes += n;
      size -= static_cast<std::size_t>(n);
    }
  }
  void receive(std::byte* bytes, std::size_t size) const {
    while (size != 0) {
      const ssize_t n = ::read(in_, bytes, size);
      check_call(n > 0, "reading from a pipe");
      bytes += n;
      size -= static_cast<std::size_t>(n);
    }
  }
  void flush() const noexcept {}

private:
  int there_[2] = {-1, -1};
  int back_[2] = {-1, -1};
  int in_ = -1;
  int out_ = -1;
};

/// One processor that copies messages into memory as large as a ring, and sends them to nobody.
class memcpy_end {
public:
  static constexpr bool carries_nothing = true;
  explicit memcpy_end(const link_options& options) : ring_(ring_bytes_for(options.size)) {}
  void become(side) noexcept {}
  void send(const std::byte* bytes, std::size_t size) noexcept {
    if (at_ + size > ring_.size()) at_ = 0;
    std::memcpy(ring_.data() + at_, bytes, size);
    asm volatile("" ::: "memory");  // somebody might read it
    at_ += size;
  }
  void receive(std::byte*, std::size_t) noexcept {}
  void flush() noexcept {}

private:
  std::vector<std::byte> ring_;
  std::size_t at_ = 0;
};

}  // namespace

std::vector<contender> reference_contenders() {
  constexpr auto what = contender::role::reference;
  std::vector<contender> all;
  all.push_back(
      blocking_contender<cache_line_end>("cache-line", "one cache line, both spin", what, true));
  all.push_back(
      blocking_contender<bare_ring_end<false>>("bare-ring", "bare ring, both spin", what, true));
  all.push_back(blocking_contender<bare_ring_end<true>>(
      "bare-ring/batched", "bare ring, batched, both spin", what, true));
  all.push_back(blocking_contender<futex_end>("futex", "raw futex", what, false));
  all.push_back(blocking_contender<eventfd_end>("eventfd", "raw eventfd", what, false));
  all.push_back(blocking_contender<pipes_end>("pipe", "pipes", what, false));
  all.push_back(blocking_contender<memcpy_end>("memcpy", "memcpy by one processor", what, false));
  return all;
}

}  // namespace ringbell::bench
