// SPDX-License-Identifier: BSL-1.0
#include <ringbell/errors.hpp>
#include <ringbell/version.hpp>

#include <doctest/doctest.h>

#include <ostream>
#include <set>
#include <string>
#include <utility>
#include <vector>

TEST_SUITE("errors") {

using ringbell::errc;

namespace {

const std::vector<std::pair<errc, std::errc>>& documented() {
  static const std::vector<std::pair<errc, std::errc>> table = {
      {errc::peer_closed, std::errc::connection_reset},
      {errc::cancelled, std::errc::operation_canceled},
      {errc::timed_out, std::errc::timed_out},
      {errc::would_block, std::errc::operation_would_block},
      {errc::busy, std::errc::operation_in_progress},
      {errc::closed, std::errc::broken_pipe},
      {errc::message_too_large, std::errc::message_size},
      {errc::bad_peer, std::errc::protocol_error},
      {errc::bad_region, std::errc::protocol_error},
      {errc::bad_name, std::errc::invalid_argument},
      {errc::bad_ring_size, std::errc::invalid_argument},
      {errc::name_in_use, std::errc::address_in_use},
      {errc::no_server, std::errc::connection_refused},
      {errc::refused_version, std::errc::connection_refused},
      {errc::refused_unauthorized, std::errc::permission_denied},
      {errc::refused_too_many, std::errc::connection_refused},
      {errc::refused_too_many_of_user, std::errc::connection_refused},
      {errc::refused_ring_size, std::errc::invalid_argument},
      {errc::refused_bell, std::errc::connection_refused},
      {errc::refused_stopping, std::errc::connection_refused},
      {errc::refused_malformed, std::errc::protocol_error},
      {errc::not_supported, std::errc::operation_not_supported},
      {errc::refused_in_flight, std::errc::resource_unavailable_try_again},
      {errc::refused_bytes, std::errc::resource_unavailable_try_again},
      {errc::no_such_method, std::errc::function_not_supported},
      {errc::dropped_idle, std::errc::connection_aborted},
      {errc::unsafe_directory, std::errc::permission_denied},
      {errc::refused_no_resources, std::errc::connection_refused},
      {errc::wrong_loop, std::errc::operation_not_permitted},
      {errc::refused_kind, std::errc::wrong_protocol_type},
  };
  return table;
}

constexpr int first = static_cast<int>(errc::peer_closed);
constexpr int last = static_cast<int>(errc::refused_kind);

}  // namespace

TEST_CASE("every code converts to an error_code of the category ringbell") {
  const std::error_code error = errc::peer_closed;
  CHECK(error);
  CHECK(error.category() == ringbell::category());
  CHECK(std::string(error.category().name()) == "ringbell");
  CHECK(error == errc::peer_closed);
  CHECK(error != errc::bad_peer);
}

TEST_CASE(
    "a code of another copy of the library in this process equals the same errc, and no other") {
  class copy final : public std::error_category {
  public:
    const char* name() const noexcept override { return "ringbell"; }
    std::string message(int) const override { return {}; }
  };
  const copy theirs;
  const std::error_code error(static_cast<int>(errc::peer_closed), theirs);
  CHECK(error == errc::peer_closed);
  CHECK(errc::peer_closed == error);
  CHECK(error != errc::closed);
  CHECK_FALSE(std::error_code(static_cast<int>(errc::peer_closed), std::generic_category()) ==
              errc::peer_closed);
  const std::error_condition condition(static_cast<int>(errc::end_of_stream), theirs);
  CHECK(make_error_code(errc::end_of_stream) == condition);
  CHECK(make_error_code(errc::closed) != condition);
}

TEST_CASE("every code compares equal to the std::errc that its documentation names") {
  for (const auto& [ours, standard] : documented()) {
    CAPTURE(static_cast<int>(ours));
    CHECK(make_error_code(ours) == standard);
  }
  CHECK(documented().size() ==
        last - first + 1 -
            2);  // all but end_of_stream and handler_failed, for which there is no std::errc
}

TEST_CASE("end_of_stream is no error that the standard knows") {
  const std::error_code error = errc::end_of_stream;
  CHECK(error.default_error_condition().category() == ringbell::category());
}

TEST_CASE("every message is one of its own and says what to do") {
  std::set<std::string> messages;
  for (int value = first; value <= last; ++value) {
    const std::string message = ringbell::category().message(value);
    CAPTURE(message);
    CHECK(message.find("unknown") == std::string::npos);
    CHECK(message.find_first_of(";(") != std::string::npos);  // "what happened; what to do"
    CHECK(messages.insert(message).second);
  }
}

TEST_CASE("a value that is no code still has a message and a condition") {
  const std::error_code error(last + 1, ringbell::category());
  CHECK(error.message().find(std::to_string(last + 1)) != std::string::npos);
  CHECK(error.default_error_condition().value() == last + 1);
}

TEST_CASE("the headers and the library say the same version") {
  CHECK(ringbell::version() == RINGBELL_VERSION);
  CHECK(ringbell::version() == std::to_string(RINGBELL_VERSION_MAJOR) + "." +
                                   std::to_string(RINGBELL_VERSION_MINOR) + "." +
                                   std::to_string(RINGBELL_VERSION_PATCH));
}

}  // TEST_SUITE("errors")
