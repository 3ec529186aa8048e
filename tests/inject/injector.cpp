// SPDX-License-Identifier: BSL-1.0
#include "inject/injector.hpp"

#include <dlfcn.h>
#include <execinfo.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <array>
#include <cerrno>
#include <cstddef>
#include <cstdlib>
#include <new>
#include <string_view>

// The functions below take the place of others by their linker names. They take and pass on six
// integers, as which all arguments travel on the processors that the tests run on.

namespace ringbell::test {
namespace {

constexpr int memory[] = {ENOMEM};
constexpr int network_memory[] = {ENOBUFS, ENOMEM};
constexpr int descriptors[] = {EMFILE, ENFILE, ENOMEM};
constexpr int sockets[] = {EMFILE, ENFILE, ENOBUFS, ENOMEM};
constexpr int file_descriptors[] = {EMFILE};
constexpr int files[] = {ENOSPC, EDQUOT, EACCES, EROFS, EIO};
constexpr int opened_files[] = {EMFILE, ENFILE, ENOMEM, ENOSPC, EACCES};
constexpr int watched[] = {ENOMEM, ENOSPC};
constexpr int interrupted[] = {EINTR};
constexpr int rings[] = {ENOMEM, EMFILE, EPERM};
constexpr int submissions[] = {EAGAIN, EBUSY, EINTR, ENOMEM};
constexpr int threads[] = {EAGAIN};
constexpr int refusals[] = {EACCES, ENOMEM};

std::atomic<bool> active{false};
const injected_call* failing = nullptr;
std::uint64_t first_failing = 0;
std::uint64_t last_failing = 0;
int failing_with = 0;

/// Whether this is Asio's own call, whose errors are Asio's own affair. Its functions have to be
/// exported for that (-rdynamic).
bool of_asio(const void* caller) noexcept {
  Dl_info found;
  if (::dladdr(caller, &found) == 0 || found.dli_sname == nullptr) return false;
  const std::string_view name(found.dli_sname);
  return name.find("N4asio") != name.npos || name.find("N5boost4asio") != name.npos;
}

/// 0, or the error that this call is to fail with.
int strikes(injected_call& call, const void* caller) noexcept {
  if (!active.load(std::memory_order_relaxed) || (caller && of_asio(caller))) return 0;
  const std::uint64_t n = call.made.fetch_add(1, std::memory_order_relaxed) + 1;
  return failing == &call && n >= first_failing && n <= last_failing ? failing_with : 0;
}

using function = long(long, long, long, long, long, long);

template <class Function>
Function* original(const char* name) noexcept {
  auto* const found = reinterpret_cast<Function*>(::dlsym(RTLD_NEXT, name));
  if (!found) std::abort();
  return found;
}

long set_errno(int error) noexcept {
  errno = error;
  return -1;
}
long negative(int error) noexcept { return -error; }
long plain(int error) noexcept { return error; }

}  // namespace
}  // namespace ringbell::test

#define RINGBELL_INJECT_AS(symbol, call, failed)                                           \
  extern "C" long injected_##symbol(long a, long b, long c, long d, long e,                \
                                    long f) __asm__(#symbol);                              \
  extern "C" long injected_##symbol(long a, long b, long c, long d, long e, long f) {      \
    static auto* const real = ringbell::test::original<ringbell::test::function>(#symbol); \
    if (const int error =                                                                  \
            ringbell::test::strikes(ringbell::test::call, __builtin_return_address(0)))    \
      return ringbell::test::failed(error);                                                \
    return real(a, b, c, d, e, f);                                                         \
  }
#define RINGBELL_INJECT(symbol, errors)                   \
  namespace ringbell::test {                              \
  namespace {                                             \
  constinit injected_call call_##symbol{#symbol, errors}; \
  }                                                       \
  }                                                       \
  RINGBELL_INJECT_AS(symbol, call_##symbol, set_errno)
#define RINGBELL_INJECT_NEGATIVE(symbol, errors)          \
  namespace ringbell::test {                              \
  namespace {                                             \
  constinit injected_call call_##symbol{#symbol, errors}; \
  }                                                       \
  }                                                       \
  RINGBELL_INJECT_AS(symbol, call_##symbol, negative)

RINGBELL_INJECT(accept4, sockets)
RINGBELL_INJECT(bind, files)
RINGBELL_INJECT(connect, network_memory)
RINGBELL_INJECT(epoll_create1, descriptors)
RINGBELL_INJECT(epoll_ctl, watched)
RINGBELL_INJECT(epoll_wait, interrupted)
RINGBELL_INJECT(eventfd, descriptors)
RINGBELL_INJECT(fchmod, files)
RINGBELL_INJECT(fcntl, file_descriptors)
RINGBELL_INJECT_AS(fcntl64, call_fcntl, set_errno)
RINGBELL_INJECT(flock, memory)
RINGBELL_INJECT(fstat, memory)
RINGBELL_INJECT_AS(fstat64, call_fstat, set_errno)
RINGBELL_INJECT(fstatfs, memory)
RINGBELL_INJECT_AS(fstatfs64, call_fstatfs, set_errno)
RINGBELL_INJECT(ftruncate, files)
RINGBELL_INJECT_AS(ftruncate64, call_ftruncate, set_errno)
RINGBELL_INJECT(getsockopt, network_memory)
RINGBELL_INJECT(listen, network_memory)
RINGBELL_INJECT(lstat, refusals)
RINGBELL_INJECT_AS(lstat64, call_lstat, set_errno)
RINGBELL_INJECT(madvise, memory)
RINGBELL_INJECT(memfd_create, descriptors)
RINGBELL_INJECT(mkdir, files)
RINGBELL_INJECT(mmap, memory)
RINGBELL_INJECT_AS(mmap64, call_mmap, set_errno)
RINGBELL_INJECT(open, opened_files)
RINGBELL_INJECT_AS(open64, call_open, set_errno)
RINGBELL_INJECT(read, interrupted)
RINGBELL_INJECT(readlink, memory)
RINGBELL_INJECT(recv, network_memory)
RINGBELL_INJECT(recvmsg, network_memory)
RINGBELL_INJECT(send, network_memory)
RINGBELL_INJECT(sendmsg, network_memory)
RINGBELL_INJECT(socket, sockets)
RINGBELL_INJECT(timerfd_create, descriptors)
RINGBELL_INJECT(timerfd_settime, memory)
RINGBELL_INJECT(unlink, files)
RINGBELL_INJECT(write, network_memory)
RINGBELL_INJECT_NEGATIVE(io_uring_enter2, submissions)
RINGBELL_INJECT_NEGATIVE(io_uring_get_events, submissions)
RINGBELL_INJECT_NEGATIVE(io_uring_queue_init_params, rings)
RINGBELL_INJECT_NEGATIVE(io_uring_submit_and_get_events, submissions)

namespace ringbell::test {
namespace {
constinit injected_call call_pthread_create{"pthread_create", threads};
constinit injected_call call_epoll_pwait2{"epoll_pwait2", interrupted};
constinit injected_call call_futex{"futex", memory};
constinit injected_call call_io_uring_register{"io_uring_register", memory};
constinit injected_call call_new{"new", memory};
constinit injected_call call_aligned_alloc{"aligned_alloc", memory};

constexpr injected_call* all_calls[] = {
    &call_accept4,
    &call_bind,
    &call_connect,
    &call_epoll_create1,
    &call_epoll_ctl,
    &call_epoll_wait,
    &call_eventfd,
    &call_fchmod,
    &call_fcntl,
    &call_flock,
    &call_fstat,
    &call_fstatfs,
    &call_ftruncate,
    &call_getsockopt,
    &call_listen,
    &call_lstat,
    &call_madvise,
    &call_memfd_create,
    &call_mkdir,
    &call_mmap,
    &call_open,
    &call_read,
    &call_readlink,
    &call_recv,
    &call_recvmsg,
    &call_send,
    &call_sendmsg,
    &call_socket,
    &call_timerfd_create,
    &call_timerfd_settime,
    &call_unlink,
    &call_write,
    &call_io_uring_enter2,
    &call_io_uring_get_events,
    &call_io_uring_queue_init_params,
    &call_io_uring_submit_and_get_events,
    &call_pthread_create,
    &call_epoll_pwait2,
    &call_futex,
    &call_io_uring_register,
    &call_new,
    &call_aligned_alloc,
};

// What is called by its number. Of futexes that which wakes other processes: the C++ library has
// others, which need no memory.
injected_call* numbered(long number, long operation) noexcept {
  switch (number) {
    case SYS_epoll_pwait2: return &call_epoll_pwait2;
    case SYS_futex: return operation == FUTEX_WAKE_BITSET ? &call_futex : nullptr;
    case SYS_io_uring_register: return &call_io_uring_register;
    default: return nullptr;
  }
}

void start(const injected_call* call, std::uint64_t nth, int error, std::uint64_t times) noexcept {
  for (injected_call* const each : all_calls) each->made.store(0, std::memory_order_relaxed);
  failing = call;
  first_failing = nth;
  last_failing = nth + times - 1;
  failing_with = error;
  active.store(true, std::memory_order_seq_cst);
}

/// What a function on the stack says of an allocation.
enum class place : std::uintptr_t {
  unknown,
  elsewhere,
  ours,
  in_await_suspend,
  in_coroutine,
  in_thread_end,
  in_strand
};

place place_by_name(const void* address) noexcept {
  Dl_info found;
  if (::dladdr(address, &found) == 0 || found.dli_sname == nullptr) return place::elsewhere;
  const std::string_view name(found.dli_sname);
  const auto has = [&](std::string_view part) { return name.find(part) != name.npos; };
  if (has("15await_transform") && has("13await_suspend")) return place::in_await_suspend;
  if (has("20awaitable_frame_base") && has("9set_error")) return place::in_coroutine;
  if (has("16awaitable_threadI") && has("4pumpEv")) return place::in_coroutine;
  if (has("16awaitable_threadI") && name.size() > 4 && name.ends_with("Ev") &&
      name.substr(name.size() - 5, 2) == "ED")
    return place::in_thread_end;
  for (const std::string_view part : {"21create_implementation", "10do_execute", "7invoker"})
    if (has("23strand_executor_service") && has(part)) return place::in_strand;
  for (const std::string_view ours :
       {"_ZN8ringbell", "_ZNK8ringbell", "_ZZN8ringbell", "_ZZNK8ringbell"})
    if (name.starts_with(ours)) return place::ours;
  return place::elsewhere;
}

/// What is known of the addresses in this program, for all processes that are forked: to look one
/// up takes some time.
class known_places {
public:
  known_places() {
    void* const shared =
        ::mmap(nullptr, sizeof(table), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) std::abort();
    table_ = new (shared) table{};
    void* warm[4];
    (void)::backtrace(warm, 4);  // loads what it needs
  }
  place of(void* address) noexcept {
    const auto key = reinterpret_cast<std::uintptr_t>(address);
    std::atomic<std::uintptr_t>& slot = (*table_)[(key ^ key >> 14) % table_->size()];
    const std::uintptr_t known = slot.load(std::memory_order_relaxed);
    if (known >> 3 == key) return static_cast<place>(known & 7);
    const place found = place_by_name(address);
    slot.store(key << 3 | static_cast<std::uintptr_t>(found), std::memory_order_relaxed);
    return found;
  }

private:
  using table = std::array<std::atomic<std::uintptr_t>, 1 << 14>;
  table* table_;
};
known_places places;

/// Whether this is where Asio ends the process, or loses what it was given, whoever uses it: what
/// is allocated there does not fail.
///   await_suspend        is noexcept, and makes the initiations of Asio's own operations
///   coroutines within    that go on there because an initiation has given its error at once, and
///                        what they do without ringbell
///   ~awaitable_thread    posts the end of a coroutine whose handler was not called
///   strands              are locked for ever when they cannot run themselves, and go on from a
///                        destructor
[[gnu::noinline]] bool beyond_asio() noexcept {
  std::array<void*, 60> frames;
  const int count = ::backtrace(frames.data(), static_cast<int>(frames.size()));
  bool coroutine = false;
  for (int i = 3; i < count; ++i) {
    switch (places.of(frames[static_cast<std::size_t>(i)])) {
      case place::in_await_suspend:
      case place::in_thread_end:
      case place::in_strand: return true;
      case place::in_coroutine: coroutine = true; break;
      case place::ours:
        if (!coroutine) return false;
        break;
      default: break;
    }
  }
  return false;
}

[[gnu::noinline]] bool memory_fails(injected_call& call) noexcept {
  return active.load(std::memory_order_relaxed) && !beyond_asio() && strikes(call, nullptr) != 0;
}

[[gnu::noinline]] void* allocate(std::size_t size, std::size_t alignment) noexcept {
  if (memory_fails(call_new)) return nullptr;
  if (size == 0) size = 1;
  static auto* const aligned = original<void*(std::size_t, std::size_t)>("aligned_alloc");
  return alignment <= alignof(std::max_align_t)
             ? std::malloc(size)
             : aligned(alignment, (size + alignment - 1) / alignment * alignment);
}

}  // namespace

std::span<injected_call* const> injector::calls() noexcept { return all_calls; }
void injector::count() noexcept { start(nullptr, 0, 0, 0); }
void injector::fail(const injected_call& call, std::uint64_t nth, int error,
                    std::uint64_t times) noexcept {
  start(&call, nth, error, times);
}
void injector::off() noexcept { active.store(false, std::memory_order_seq_cst); }

}  // namespace ringbell::test

RINGBELL_INJECT_AS(pthread_create, call_pthread_create, plain)

extern "C" long injected_syscall(long number, long a, long b, long c, long d, long e,
                                 long f) __asm__("syscall");
extern "C" long injected_syscall(long number, long a, long b, long c, long d, long e, long f) {
  static auto* const real =
      ringbell::test::original<long(long, long, long, long, long, long, long)>("syscall");
  if (ringbell::test::injected_call* const call = ringbell::test::numbered(number, b))
    if (const int error = ringbell::test::strikes(*call, __builtin_return_address(0)))
      return ringbell::test::set_errno(error);
  return real(number, a, b, c, d, e, f);
}

// By which Asio allocates.
extern "C" void* injected_aligned_alloc(std::size_t alignment,
                                        std::size_t size) __asm__("aligned_alloc");
extern "C" [[gnu::noinline]] void* injected_aligned_alloc(std::size_t alignment, std::size_t size) {
  static auto* const real =
      ringbell::test::original<void*(std::size_t, std::size_t)>("aligned_alloc");
  return ringbell::test::memory_fails(ringbell::test::call_aligned_alloc) ? nullptr
                                                                          : real(alignment, size);
}

// Not inlined: g++ would take malloc and operator delete for a mismatched pair.
[[gnu::noinline]] void* operator new(std::size_t size) {
  if (void* const p = ringbell::test::allocate(size, 0)) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, std::align_val_t alignment) {
  if (void* const p = ringbell::test::allocate(size, static_cast<std::size_t>(alignment))) return p;
  throw std::bad_alloc();
}
[[gnu::noinline]] void* operator new(std::size_t size, const std::nothrow_t&) noexcept {
  return ringbell::test::allocate(size, 0);
}
[[gnu::noinline]] void operator delete(void* p) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::align_val_t) noexcept { std::free(p); }
[[gnu::noinline]] void operator delete(void* p, std::size_t, std::align_val_t) noexcept {
  std::free(p);
}
