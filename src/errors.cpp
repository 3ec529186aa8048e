// SPDX-License-Identifier: BSL-1.0
#include <ringbell/errors.hpp>

#include "advice.hpp"

#include <cstddef>
#include <new>
#include <string>

namespace ringbell {

namespace {

// There is no default case, so that the compiler reports a forgotten enumerator.
const char* text_of(errc e) noexcept {
  switch (e) {
    case errc::peer_closed:
      return "the peer has gone: its process ended or it dropped the channel; connect again to go on";
    case errc::end_of_stream:
      return "the peer closed its sending side and everything that it sent has been received; nothing more will come";
    case errc::cancelled:
      return "the operation was cancelled by a stop request; nothing was consumed or published, so it can be started again";
    case errc::timed_out:
      return "the deadline passed before the operation could complete; try again with more time, or check that the peer is not stuck";
    case errc::would_block:
      return "nothing to receive, or no space to send, at the moment; try again later or await the operation instead";
    case errc::busy:
      return "the same operation is already pending on this object; await that one before starting another";
    case errc::closed:
      return "this side has closed that direction of the channel; open a new channel to send again";
    case errc::message_too_large:
      return "the message is longer than the limit, the claim or the buffer allows; send less at once or raise the limit";
    case errc::bad_peer:
      return "the peer broke the protocol (an impossible index, length, frame or handle) and the channel was closed; check what it runs";
    case errc::bad_region:
      return "the peer's shared memory was refused: it is not sealed, not fully allocated, or not of the size that was agreed; "
             "check that the peer runs a compatible ringbell";
    case errc::bad_name: return sys::advice::bad_name;
    case errc::bad_ring_size:
      return "a ring's size must be a power of two within the limits (4 KiB to 1 GiB); choose another";
    case errc::name_in_use:
      return "a live server has that name already; stop it or choose another name";
    case errc::no_server: return sys::advice::no_server;
    case errc::refused_version:
      return "the server speaks no protocol version that this library knows; update the older of the two";
    case errc::refused_unauthorized:
      return "the server's authorizer does not admit this user or process; ask its operator for access";
    case errc::refused_too_many:
      return "the server has as many clients as it allows; try again later or raise its limit";
    case errc::refused_too_many_of_user:
      return "the server has as many clients of this user as it allows one user; close another one, or raise its limit";
    case errc::refused_ring_size:
      return "the server does not accept rings of that size; ask for one within its limits";
    case errc::refused_bell: return sys::advice::refused_bell;
    case errc::refused_no_resources:
      return "the server has no descriptors, or no memory, left for another client; try again later, or raise its limits (see its `ulimit -n`)";
    case errc::refused_stopping:
      return "the server is going away; connect again once it has been restarted";
    case errc::refused_malformed:
      return "the server could not make sense of the greeting; check that what listens there is a ringbell server of a compatible version";
    case errc::not_supported:
      return "this kernel or loop cannot do that; run `ringbell doctor` to see what is missing";
    case errc::refused_in_flight:
      return "the server has as many requests of this client under way as it allows; wait for replies before the next, or raise its limit";
    case errc::refused_bytes:
      return "as many bytes as max_buffered_bytes allows are kept for that peer already: requests under way, and parts and replies that were not read; "
             "read them sooner, send less at once, or raise the limit";
    case errc::no_such_method:
      return "the service has no such method; check its number or name, and the version of the service";
    case errc::handler_failed:
      return "the service's handler failed; its log, or the text of this error, says why";
    case errc::dropped_idle:
      return "the server closed the connection because nothing was asked for as long as it allows; connect again, or raise its idle timeout";
    case errc::unsafe_directory: return sys::advice::unsafe_directory;
    case errc::wrong_loop:
      return "this channel (or listener, client, stream, server or scope) belongs to another loop; await it in a coroutine that its own loop runs";
    case errc::refused_kind:
      return "one side sends messages and the other a stream of bytes; connect to a stream as a stream, and to anything else as a channel or a client";
  }
  return nullptr;
}

class ringbell_category final : public std::error_category {
public:
  const char* name() const noexcept override { return "ringbell"; }

  std::string message(int value) const override {
    if (const char* text = text_of(static_cast<errc>(value))) return text;
    return "unknown ringbell error " + std::to_string(value) +
           "; the code was not made by this version of the library";
  }

  // These also accept the category of another copy of the library.
  bool equivalent(int value, const std::error_condition& condition) const noexcept override {
    return default_error_condition(value) == condition ||
           (condition.value() == value && detail::same_category(condition.category(), *this));
  }
  bool equivalent(const std::error_code& code, int condition) const noexcept override {
    return code.value() == condition && detail::same_category(code.category(), *this);
  }

  std::error_condition default_error_condition(int value) const noexcept override {
    switch (static_cast<errc>(value)) {
      case errc::peer_closed: return std::errc::connection_reset;
      case errc::end_of_stream: break;
      case errc::cancelled: return std::errc::operation_canceled;
      case errc::timed_out: return std::errc::timed_out;
      case errc::would_block: return std::errc::operation_would_block;
      case errc::busy: return std::errc::operation_in_progress;
      case errc::closed: return std::errc::broken_pipe;
      case errc::message_too_large: return std::errc::message_size;
      case errc::bad_peer:
      case errc::bad_region:
      case errc::refused_malformed: return std::errc::protocol_error;
      case errc::bad_name:
      case errc::bad_ring_size:
      case errc::refused_ring_size: return std::errc::invalid_argument;
      case errc::name_in_use: return std::errc::address_in_use;
      case errc::no_server:
      case errc::refused_version:
      case errc::refused_too_many:
      case errc::refused_too_many_of_user:
      case errc::refused_bell:
      case errc::refused_no_resources:
      case errc::refused_stopping: return std::errc::connection_refused;
      case errc::refused_unauthorized:
      case errc::unsafe_directory: return std::errc::permission_denied;
      case errc::not_supported: return std::errc::operation_not_supported;
      case errc::refused_in_flight:
      case errc::refused_bytes: return std::errc::resource_unavailable_try_again;
      case errc::no_such_method: return std::errc::function_not_supported;
      case errc::dropped_idle: return std::errc::connection_aborted;
      case errc::wrong_loop: return std::errc::operation_not_permitted;
      case errc::refused_kind: return std::errc::wrong_protocol_type;
      case errc::handler_failed: break;
    }
    return {value, *this};
  }
};

}  // namespace

const char detail::RINGBELL_SETTINGS = 0;

const std::error_category& category() noexcept {
  // Never destroyed, because error codes may be compared and printed until the end of the process.
  alignas(ringbell_category) static std::byte storage[sizeof(ringbell_category)];
  static const auto& instance = *new (storage) ringbell_category;
  return instance;
}

}  // namespace ringbell
