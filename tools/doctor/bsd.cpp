// SPDX-License-Identifier: BSL-1.0
#include "doctor/doctor.hpp"

#include <ringbell/errors.hpp>
#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/region.hpp>

#include <sys/mman.h>
#include <unistd.h>

#include <utility>

namespace ringbell::tool {

namespace {

// What a peer could try with the descriptor of a region; each must fail. The name of the first that
// does not, or null.
const char* broken_promise(int fd, std::size_t size) noexcept {
  void* const writable = ::mmap(nullptr, size, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
  if (writable != MAP_FAILED) {
    ::munmap(writable, size);
    return "it can be mapped for writing";
  }
  void* const readable = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd, 0);
  if (readable != MAP_FAILED) {
    const bool raised = ::mprotect(readable, size, PROT_READ | PROT_WRITE) == 0;
    ::munmap(readable, size);
    if (raised) return "a mapping for reading can be made one for writing";
  }
  if (::ftruncate(fd, 0) == 0) return "it can be made shorter";
  return nullptr;
}

}  // namespace

std::string platform_word() {
  return "macOS or BSD: compiled, on macOS linked; its loop and most of its system layer run in the tests on a kqueue shim; not run on the real system";
}

std::vector<trial> trials_of_system() {
  return {{"futexes", verdict::limited, [] {
             const sys::futex_word word{0};
             const bool there = sys::futex_wait(word, 1, sys::futex_scope::shared,
                                                sys::futex_deadline::min()) != errc::not_supported;
             return finding{"futexes", verdict::ok,
                            there ? "os_sync_wait_on_address (macOS 14.4)"
                                  : "none here (macOS before 14.4, BSD); no loop needs them"};
           }}};
}

finding look_at_memory() {
  constexpr const char* what = "shared memory";
  std::error_code error;
  const sys::region own = sys::region::create(sys::page_size(), error);
  if (error) return {what, verdict::missing, error.message()};
  sys::handle passed(::dup(own.shared_handle()));
  if (const char* broken = broken_promise(passed.get(), own.size()))
    return {what, verdict::limited,
            std::string("a peer must be trusted: with the descriptor for reading that it gets, ") +
                broken};
  const sys::peer_region seen = sys::peer_region::map(std::move(passed), own.size(), error);
  if (error) return {what, verdict::missing, error.message()};
  return {
      what, verdict::ok,
      "a peer can map it for reading; writing and resizing are refused (tried). No seals: see docs/platforms.md"};
}

findings look_at_limits() {
  return look_at_process_limits("a channel takes 1, while it is made 3");
}

}  // namespace ringbell::tool
