// SPDX-License-Identifier: BSL-1.0
// A client in a container may have another steady clock than the server.
#include <ringbell/service/detail/frame.hpp>

#include <doctest/doctest.h>

#include <chrono>

#include "support/time_namespace.hpp"

TEST_SUITE("service_time_namespace") {

using namespace ringbell::test;
using namespace std::chrono_literals;
namespace service_frame = ringbell::service_frame;

TEST_CASE("a deadline is as far away in another time namespace as where it comes from") {
  using clock = std::chrono::steady_clock;
  const clock::time_point here = clock::now();
  const std::uint64_t sent = service_frame::sent_deadline(here + 1h);
  const int outcome = run_a_day_ahead([&] {
    if (clock::now() - here < 23h) return 1;
    const auto left = *service_frame::received_deadline(sent) - clock::now();
    return left > 50min && left < 61min ? 0 : 2;
  });
  if (outcome == 77)
    MESSAGE("skipped: no time namespaces");
  else
    CHECK(outcome == 0);
}

}  // TEST_SUITE("service_time_namespace")
