// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/error.hpp>

#include <cerrno>
#include <new>

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

net_error_code to_net(errc e) noexcept {
  if (e == errc{}) return {};
  switch (e) {
    case errc::end_of_stream: return net::error::eof;
    case errc::peer_closed: return net::error::connection_reset;
    case errc::cancelled: return net::error::operation_aborted;
    case errc::timed_out: return net::error::timed_out;
    case errc::would_block: return net::error::would_block;
    case errc::message_too_large: return net::error::message_size;
    case errc::closed: return net::error::bad_descriptor;
    default: return make_error_code(e);
  }
}
net_error_code to_net(std::error_code e) noexcept {
  if (same_category(e.category(), category())) return to_net(static_cast<errc>(e.value()));
  if (e == std::errc::not_enough_memory) return net::error::no_memory;
  // Asio's own operations give the system's errors in a category that is not
  // std::system_category(), so this does the same. Where there is errno, the values of std::errc
  // are the system's as well.
  constexpr bool errno_is_the_systems = static_cast<int>(net::error::no_descriptors) == EMFILE;
  if (e.category() == std::system_category() ||
      (errno_is_the_systems && e.category() == std::generic_category()))
    return {e.value(), net::error::get_system_category()};
  return e;
}

net_error_code to_net(const std::exception_ptr& e) noexcept {
  try {
    std::rethrow_exception(e);
  } catch (const std::system_error& error) {
    return to_net(error.code());
#ifdef RINGBELL_BOOST_ASIO
  } catch (const net_system_error& error) {
    return error.code();
#endif
  } catch (const net::execution::bad_executor&) {
    return to_net(errc::closed);
  } catch (const std::bad_alloc&) {
    return net::error::no_memory;
  } catch (...) {
    return {};
  }
}

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
