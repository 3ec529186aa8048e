// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

// Asio 1.22 decides how it allocates by macros of the standard library. So a header of the
// standard library is included first, in each source file.
#include <type_traits>
#include <version>

/// Chooses the Asio that the headers in this folder use: the standalone one, or Boost's when
/// RINGBELL_BOOST_ASIO is defined. `ringbell::net` is its namespace.

// `emit` is a macro of Qt, and the name of a member function of Asio.
#pragma push_macro("emit")
#undef emit

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

#pragma pop_macro("emit")

#if defined(__clang__) && !defined(RINGBELL_ASIO_HAS_CO_AWAIT) && \
    !defined(ASIO_DISABLE_CO_AWAIT) && !defined(BOOST_ASIO_DISABLE_CO_AWAIT)
#ifdef RINGBELL_BOOST_ASIO
#error \
    "ringbell: this version of Boost's Asio does not see that clang has coroutines: define BOOST_ASIO_HAS_CO_AWAIT and BOOST_ASIO_HAS_STD_COROUTINE (or \
BOOST_ASIO_DISABLE_CO_AWAIT, to do without)"
#else
#error \
    "ringbell: this version of Asio does not see that clang has coroutines: define ASIO_HAS_CO_AWAIT and ASIO_HAS_STD_COROUTINE (or \
ASIO_DISABLE_CO_AWAIT, to do without)"
#endif
#endif

static_assert(RINGBELL_ASIO_VERSION >= 102200,
              "ringbell needs Asio 1.22 or newer, or Boost 1.78 or newer");
#if defined(RINGBELL_ASIO_WAITS_FOR_OBJECTS) && !defined(RINGBELL_ASIO_HAS_THREADS)
// Threads of the system's pool wait for objects, also in a program that starts no thread itself.
#error \
    "ringbell: Asio does not see that there are threads (mingw: -pthread does not say so): define ASIO_HAS_THREADS, or Boost's"
#endif

// Names the Asio that a source file uses: standalone or Boost's, its version, and the settings that
// change the layout of its classes. Everything that depends on Asio is in an inline namespace of
// this name. So a program does not link when its Asio is not the one that ringbell's compiled part
// was built with; <ringbell/asio/impl/src.hpp> says what to do then.
#define RINGBELL_ASIO_JOIN_(a, b) a##b
#define RINGBELL_ASIO_JOIN(a, b) RINGBELL_ASIO_JOIN_(a, b)
#ifdef RINGBELL_BOOST_ASIO
#define RINGBELL_ASIO_ABI_1 RINGBELL_ASIO_JOIN(boost_asio_, BOOST_ASIO_VERSION)
#else
#define RINGBELL_ASIO_ABI_1 RINGBELL_ASIO_JOIN(asio_, ASIO_VERSION)
#endif
#if defined(ASIO_HAS_IO_URING_AS_DEFAULT) || defined(BOOST_ASIO_HAS_IO_URING_AS_DEFAULT)
#define RINGBELL_ASIO_ABI_2 RINGBELL_ASIO_JOIN(RINGBELL_ASIO_ABI_1, _io_uring)
#else
#define RINGBELL_ASIO_ABI_2 RINGBELL_ASIO_ABI_1
#endif
#if defined(ASIO_ENABLE_HANDLER_TRACKING) || defined(BOOST_ASIO_ENABLE_HANDLER_TRACKING)
#define RINGBELL_ASIO_ABI_3 RINGBELL_ASIO_JOIN(RINGBELL_ASIO_ABI_2, _tracking)
#else
#define RINGBELL_ASIO_ABI_3 RINGBELL_ASIO_ABI_2
#endif
#ifdef RINGBELL_ASIO_HAS_THREADS
#define RINGBELL_ASIO_ABI RINGBELL_ASIO_ABI_3
#else
#define RINGBELL_ASIO_ABI RINGBELL_ASIO_JOIN(RINGBELL_ASIO_ABI_3, _no_threads)
#endif

namespace ringbell::inline RINGBELL_ASIO_ABI {

#ifdef RINGBELL_BOOST_ASIO
namespace net = boost::asio;
/// The error code of the Asio in use.
using net_error_code = boost::system::error_code;
/// The exception of the Asio in use that has such a code.
using net_system_error = boost::system::system_error;
#else
namespace net = asio;
/// The error code of the Asio in use.
using net_error_code = asio::error_code;
/// The exception of the Asio in use that has such a code.
using net_system_error = asio::system_error;
#endif

}  // namespace ringbell::inline RINGBELL_ASIO_ABI

namespace ringbell::detail::inline RINGBELL_ASIO_ABI {

template <class T>
concept is_executor = net::execution::is_executor<T>::value || net::is_executor<T>::value;
/// An object of another library that stands for an executor, because it converts to the executor
/// of Asio's I/O objects.
template <class T>
concept gives_executor = !is_executor<T> && !std::is_convertible_v<T&, net::execution_context&> &&
                         std::is_convertible_v<T&, net::any_io_executor>;

}  // namespace ringbell::detail::inline RINGBELL_ASIO_ABI
