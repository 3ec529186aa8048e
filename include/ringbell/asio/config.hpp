// SPDX-License-Identifier: BSL-1.0
#pragma once

/// Which Asio the headers in this folder are built on: the standalone one, or with RINGBELL_BOOST_ASIO defined Boost's. A program uses one of
/// the two. `ringbell::net` names its namespace.

#ifdef RINGBELL_BOOST_ASIO
#include <boost/asio.hpp>
#define RINGBELL_ASIO_VERSION BOOST_ASIO_VERSION
#ifdef BOOST_ASIO_HAS_CO_AWAIT
#define RINGBELL_ASIO_HAS_CO_AWAIT 1
#endif
#ifdef BOOST_ASIO_HAS_THREADS
#define RINGBELL_ASIO_HAS_THREADS 1
#endif
#ifdef BOOST_ASIO_HAS_WINDOWS_OBJECT_HANDLE
#define RINGBELL_ASIO_WAITS_FOR_OBJECTS 1
#endif
#else
#include <asio.hpp>
#define RINGBELL_ASIO_VERSION ASIO_VERSION
#ifdef ASIO_HAS_CO_AWAIT
#define RINGBELL_ASIO_HAS_CO_AWAIT 1
#endif
#ifdef ASIO_HAS_THREADS
#define RINGBELL_ASIO_HAS_THREADS 1
#endif
#ifdef ASIO_HAS_WINDOWS_OBJECT_HANDLE
#define RINGBELL_ASIO_WAITS_FOR_OBJECTS 1
#endif
#endif

static_assert(RINGBELL_ASIO_VERSION >= 102200, "ringbell needs Asio 1.22 or newer, or Boost 1.78 or newer");
#if defined(RINGBELL_ASIO_WAITS_FOR_OBJECTS) && !defined(RINGBELL_ASIO_HAS_THREADS)
// What waits for objects are threads of the system's pool, also in a program without any of its own.
#error "ringbell: Asio does not see that there are threads (mingw: -pthread does not say so): define ASIO_HAS_THREADS, or Boost's"
#endif

namespace ringbell {

#ifdef RINGBELL_BOOST_ASIO
namespace net = boost::asio;
using net_error_code = boost::system::error_code;
using net_system_error = boost::system::system_error;
#else
namespace net = asio;
using net_error_code = asio::error_code;
using net_system_error = asio::system_error;
#endif

namespace detail {
template <class T>
concept is_executor = net::execution::is_executor<T>::value || net::is_executor<T>::value;
}  // namespace detail

}  // namespace ringbell
