// SPDX-License-Identifier: BSL-1.0
// Why Linux refuses a system call, as `ringbell doctor` says it.
#include "doctor/refusal.hpp"

#include <doctest/doctest.h>

#include <cerrno>
#include <string>

TEST_SUITE("refusal") {

using namespace ringbell::tool;

namespace {

call_rules rules(const char* kernel, bool filtered, const char* io_uring_disabled = "") {
  return {kernel, filtered, io_uring_disabled};
}

bool has(const std::string& text, const char* word) { return text.find(word) != text.npos; }

}  // namespace

TEST_CASE("a call that an old kernel lacks is said to need a newer one") {
  for (const char* kernel : {"5.15.0-91-generic", "4.19.0"}) {
    const std::string text = why_refused(ENOSYS, {5, 16}, rules(kernel, true));
    CHECK_MESSAGE(has(text, "needs Linux 5.16 or later"), text);
    CHECK_MESSAGE(has(text, kernel), text);
    CHECK_MESSAGE(!has(text, "seccomp"), text);
  }
}

TEST_CASE("a filter that hides a call of a kernel that has it is named, whatever error it gives") {
  for (const char* kernel : {"5.16.0", "6.1.0-18-amd64", "10.0", "something else"})
    for (const int error : {ENOSYS, EPERM, EACCES}) {
      const std::string text = why_refused(error, {5, 16}, rules(kernel, true));
      CHECK_MESSAGE(has(text, "filter (seccomp)"), text);
      CHECK_MESSAGE(!has(text, "or later"), text);
    }
  // No old kernel refuses by EPERM what it does not know.
  CHECK(has(why_refused(EPERM, {5, 16}, rules("5.10.0", true)), "seccomp"));
}

TEST_CASE("without a filter the kernel's configuration or a sandbox is named") {
  const std::string missing = why_refused(ENOSYS, {5, 16}, rules("6.1.0", false));
  CHECK_MESSAGE(has(missing, "built without it"), missing);
  const std::string forbidden = why_refused(EPERM, {5, 16}, rules("6.1.0", false));
  CHECK_MESSAGE(has(forbidden, "security module"), forbidden);
}

TEST_CASE("the sysctl for io_uring is named before a filter, where it is the reason") {
  for (const char* value : {"1", "2"}) {
    const std::string text = why_io_uring_is_refused(EPERM, rules("6.6.0", true, value));
    CHECK_MESSAGE(has(text, "kernel.io_uring_disabled is "), text);
    CHECK_MESSAGE(!has(text, "seccomp"), text);
    CHECK(has(why_io_uring_is_refused(ENOSYS, rules("6.6.0", true, value)), "seccomp"));
  }
  CHECK(has(why_io_uring_is_refused(EPERM, rules("6.6.0", true, "0")), "seccomp"));
  CHECK(has(why_io_uring_is_refused(ENOSYS, rules("4.19.0", false)), "Linux 5.1 or later"));
}

TEST_CASE("an error that is no refusal is said as the system says it") {
  const std::string text = why_io_uring_is_refused(ENOMEM, rules("6.6.0", true, "2"));
  CHECK_MESSAGE(!has(text, "seccomp"), text);
  CHECK_MESSAGE(!has(text, "sysctl"), text);
}

}  // TEST_SUITE("refusal")
