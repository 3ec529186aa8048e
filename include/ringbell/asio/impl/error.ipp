// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio/error.hpp>

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
  return same_category(e.category(), category()) ? to_net(static_cast<errc>(e.value())) : net_error_code(e);
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
