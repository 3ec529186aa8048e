// SPDX-License-Identifier: BSL-1.0
// The compiled part of the Asio front end again, for programs that use Boost's Asio.
#define RINGBELL_BOOST_ASIO
#include <ringbell/asio/impl/src.hpp>
