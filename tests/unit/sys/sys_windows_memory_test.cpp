// SPDX-License-Identifier: BSL-1.0
#include <ringbell/errors.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/region.hpp>

#include "support/patience.hpp"
#include "support/process.hpp"
#include "support/system_objects.hpp"
#include "support/windows_objects.hpp"

#include <doctest/doctest.h>

#include <algorithm>
#include <atomic>
#include <ostream>
#include <string>
#include <thread>

TEST_SUITE("sys_windows_memory") {

using namespace std::chrono_literals;
using namespace ringbell::sys;
using namespace ringbell::test;
using ringbell::errc;

namespace {

using clock_type = std::chrono::steady_clock;

handle duplicate(native_handle from, DWORD rights) {
  HANDLE made = nullptr;
  REQUIRE(::DuplicateHandle(::GetCurrentProcess(), from, ::GetCurrentProcess(), &made, rights,
                            FALSE, 0));
  return handle(made);
}

// What the peer gets.
handle share(const region& r) {
  return duplicate(r.shared_handle(), SECTION_MAP_READ | SECTION_QUERY);
}

// What a peer that does not use this library could hand over.
handle forge(std::size_t bytes, DWORD kind, const handle& file = {}) {
  return handle(::CreateFileMappingW(file ? file.get() : INVALID_HANDLE_VALUE, nullptr, kind, 0,
                                     static_cast<DWORD>(bytes), nullptr));
}

std::error_code map_error(handle h, std::size_t bytes) {
  std::error_code error;
  const peer_region mapped = peer_region::map(std::move(h), bytes, error);
  CHECK(static_cast<bool>(mapped) == !error);
  return error;
}

bool is_mapped(const void* page) {
  MEMORY_BASIC_INFORMATION found;
  return ::VirtualQuery(page, &found, sizeof found) != 0 && found.State == MEM_COMMIT;
}

handle own_program() {
  wchar_t path[MAX_PATH];
  ::GetModuleFileNameW(nullptr, path, MAX_PATH);
  return owned_file(
      ::CreateFileW(path, GENERIC_READ, FILE_SHARE_READ, nullptr, OPEN_EXISTING, 0, nullptr));
}

}  // namespace

TEST_CASE("a region is zeroed, writable memory of whole pages") {
  region r = make_region(1);
  CHECK(r.size() == page_size());
  CHECK(std::all_of(r.data(), r.data() + r.size(), [](std::byte b) { return b == std::byte{}; }));
  r.data()[r.size() - 1] = std::byte{1};
  CHECK(make_region(page_size()).size() == page_size());
  CHECK(make_region(page_size() + 1).size() == 2 * page_size());
}

TEST_CASE("a region of no bytes, or of more than there are addresses, is refused") {
  std::error_code error;
  CHECK_FALSE(region::create(0, error));
  CHECK(error == std::errc::invalid_argument);
  CHECK_FALSE(region::create(~std::size_t{0}, error));
  CHECK(error == std::errc::invalid_argument);
  CHECK_FALSE(region::create(std::size_t{1} << 62, error));
  CHECK(error);
}

TEST_CASE("a region leaves no mapping and no handle behind") {
  const int before = open_descriptors();
  const void* page = nullptr;
  {
    region a = make_region(4096);
    region b = std::move(a);
    CHECK_FALSE(a);
    CHECK(a.size() == 0);
    b.data()[0] = std::byte{1};
    a = std::move(b);
    CHECK(a.data()[0] == std::byte{1});
    a = make_region(8192);
    CHECK(a.size() == 8192);
    page = a.data();
  }
  CHECK_FALSE(is_mapped(page));
  CHECK(open_descriptors() == before);
}

TEST_CASE(
    "a region whose handle is closed stays mapped, and can still be mapped by who was sent it") {
  region r = make_region(page_size());
  handle sent = share(r);
  r.close_handle();
  r.close_handle();
  CHECK(r.shared_handle() == invalid_handle);
  r.data()[0] = std::byte{7};
  std::error_code error;
  const peer_region peer = peer_region::map(std::move(sent), page_size(), error);
  REQUIRE(peer);
  CHECK(peer.data()[0] == std::byte{7});
}

TEST_CASE("who was given a region can read it and nothing else") {
  const region r = make_region(page_size());
  const handle given = share(r);
  CHECK_FALSE(can_be_mapped_for_writing(given));
  CHECK_FALSE(can_become_writable(given));
  void* const view = ::MapViewOfFile(given.get(), FILE_MAP_READ, 0, 0, 0);
  REQUIRE(view);
  DWORD before = 0;
  CHECK_FALSE(::VirtualProtect(view, page_size(), PAGE_READWRITE, &before));
  ::UnmapViewOfFile(view);
}

TEST_CASE("a section without a list of rights could be made writable again") {
  const handle open = forge(page_size(), PAGE_READWRITE);
  CHECK(can_become_writable(
      duplicate(open.get(), SECTION_MAP_READ | SECTION_QUERY)));  // why regions have one
}

TEST_CASE("a peer's mapping outlives the owner's") {
  std::error_code error;
  peer_region peer;
  {
    region r = make_region(4096);
    r.data()[0] = std::byte{5};
    peer = peer_region::map(share(r), 4096, error);
  }
  REQUIRE(peer);
  peer_region moved = std::move(peer);
  CHECK_FALSE(peer);
  CHECK(moved.data()[0] == std::byte{5});
}

TEST_CASE("an own region and a peer's are unmapped together, whichever is there") {
  std::error_code error;
  region own = make_region(page_size());
  region others = make_region(page_size());
  peer_region peer = peer_region::map(share(others), page_size(), error);
  const void* const was_own = own.data();
  const void* const was_peer = peer.data();
  unmap(std::move(own), std::move(peer));
  CHECK_FALSE(is_mapped(was_own));
  CHECK_FALSE(is_mapped(was_peer));
  CHECK(is_mapped(others.data()));
  unmap({}, {});
}

TEST_CASE("mapping takes the handle, whether it succeeds or fails") {
  const region r = make_region(4096);
  const int before = open_descriptors();
  CHECK_FALSE(map_error(share(r), 4096));
  CHECK(map_error(share(r), 8192) == errc::bad_region);
  CHECK(open_descriptors() == before);
}

TEST_CASE("a region of another size than announced is bad_region") {
  const region r = make_region(3 * page_size());
  CHECK_FALSE(map_error(share(r), 3 * page_size()));
  CHECK_FALSE(map_error(share(r), 2 * page_size() + 1));
  for (const std::size_t wrong :
       {std::size_t{0}, std::size_t{1}, 2 * page_size(), 4 * page_size(), ~std::size_t{0}}) {
    CAPTURE(wrong);
    CHECK(map_error(share(r), wrong) == errc::bad_region);
  }
}

TEST_CASE("memory that was only reserved is bad_region: to read it would fault") {
  CHECK(map_error(forge(page_size(), PAGE_READWRITE | SEC_RESERVE), page_size()) ==
        errc::bad_region);
}

TEST_CASE("a file and a program are bad_region") {
  const handle file = own_program();
  REQUIRE(file);
  LARGE_INTEGER size;
  REQUIRE(::GetFileSizeEx(file.get(), &size));
  const auto bytes = static_cast<std::size_t>(size.QuadPart);
  CHECK(map_error(forge(0, PAGE_READONLY, file), bytes) == errc::bad_region);
  CHECK(map_error(forge(page_size(), PAGE_READONLY, file), page_size()) == errc::bad_region);
  CHECK(map_error(forge(0, PAGE_READONLY | SEC_IMAGE, file), bytes) == errc::bad_region);
}

TEST_CASE("what is no section, or must not be read or asked, is bad_region") {
  const region r = make_region(page_size());
  CHECK(map_error(handle(), page_size()) == errc::bad_region);
  CHECK(map_error(handle(::CreateEventW(nullptr, FALSE, FALSE, nullptr)), page_size()) ==
        errc::bad_region);
  CHECK(map_error(own_program(), page_size()) == errc::bad_region);
  CHECK(map_error(duplicate(r.shared_handle(), SECTION_MAP_READ), page_size()) == errc::bad_region);
  CHECK(map_error(duplicate(r.shared_handle(), SECTION_QUERY), page_size()) == errc::bad_region);
}

TEST_CASE("a bell is silent until it is rung, and again once it is drained") {
  event_bell bell = make_bell();
  CHECK_FALSE(is_signalled(bell.native()));
  CHECK_FALSE(bell.ring());
  CHECK_FALSE(bell.ring());
  CHECK(is_signalled(bell.native()));
  CHECK_FALSE(is_signalled(bell.native()));  // the wait took it
  CHECK_FALSE(bell.ring());
  bell.drain();
  CHECK_FALSE(is_signalled(bell.native()));
  bell.drain();
}

TEST_CASE("ringing no bell is an error, not a crash") {
  event_bell none;
  CHECK_FALSE(none);
  CHECK(none.ring() == std::errc::bad_file_descriptor);
  none.drain();
}

TEST_CASE("an event is an event, with the right to set it alone; nothing else is") {
  const event_bell bell = make_bell();
  CHECK(event_bell::is_event(bell.native()));
  CHECK(event_bell::is_event(duplicate(bell.native(), EVENT_MODIFY_STATE).get()));
  CHECK_FALSE(is_signalled(bell.native()));
  const region r = make_region(1);
  CHECK_FALSE(event_bell::is_event(r.shared_handle()));
  CHECK_FALSE(event_bell::is_event(make_semaphore().get()));
  CHECK_FALSE(event_bell::is_event(own_program().get()));
  CHECK_FALSE(event_bell::is_event(::GetCurrentProcess()));
  CHECK_FALSE(event_bell::is_event(invalid_handle));
}

TEST_CASE("events are the bells between processes") {
  CHECK(system_bells() == bell_bit(bell_kind::eventfd));
  CHECK(std::string(name_of(bell_kind::eventfd)) == "event");
}

TEST_CASE("a handle is closed once, and a duplicate is another one to the same object") {
  std::error_code error;
  handle first(::CreateEventW(nullptr, TRUE, FALSE, nullptr));
  handle second = first.duplicate(error);
  REQUIRE_FALSE(error);
  CHECK(second.get() != first.get());
  ::SetEvent(second.get());
  CHECK(is_signalled(first.get()));
  const int before = open_descriptors();
  first = std::move(second);
  CHECK_FALSE(second);
  CHECK(is_signalled(first.get()));
  CHECK(open_descriptors() == before - 1);
  first.reset();
  first.reset();
  CHECK(open_descriptors() == before - 2);
  CHECK_FALSE(handle().duplicate(error));
  CHECK(error == std::errc::bad_file_descriptor);
}

TEST_CASE(
    "a thread waits for a word to change, or until its deadline, and not for a word that differs") {
  futex_word word{1};
  CHECK_FALSE(futex_wait(word, 0, futex_scope::private_));
  const auto deadline = clock_type::now() + 20ms;
  CHECK(futex_wait(word, 1, futex_scope::private_, deadline) == errc::timed_out);
  CHECK(clock_type::now() >= deadline);
  CHECK(futex_wait(word, 1, futex_scope::private_, clock_type::time_point::min()) ==
        errc::timed_out);
  std::thread other([&] {
    word = 2;
    futex_wake(word, 1, futex_scope::private_);
  });
  while (word == 1)
    CHECK_FALSE(futex_wait(word, 1, futex_scope::private_, clock_type::now() + patience));
  other.join();
}

TEST_CASE("a futex that processes share is not supported") {
  const futex_word word{1};
  CHECK(futex_wait(word, 1, futex_scope::shared) == errc::not_supported);
  CHECK(futex_wake(word, 1, futex_scope::shared) == 0);
  CHECK(futex_wait(word, 1, futex_scope::private_, no_deadline, 0) == std::errc::invalid_argument);
  std::size_t index = 0;
  CHECK(futex_wait_any({}, index) == errc::not_supported);
  CHECK_FALSE(has_futex_wait_any());
}

}  // TEST_SUITE("sys_windows_memory")
