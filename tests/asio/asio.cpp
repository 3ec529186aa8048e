// SPDX-License-Identifier: BSL-1.0
// Asio itself, for all tests.
#include <ringbell/asio/config.hpp>

#ifdef RINGBELL_BOOST_ASIO
#include <boost/asio/impl/src.hpp>
#else
#include <asio/impl/src.hpp>
#endif
