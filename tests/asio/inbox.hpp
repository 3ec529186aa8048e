// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/asio.hpp>

#include <string>
#include <utility>

// The class of docs/asio.md, for one source: the build takes it from there. It is written for the
// standalone Asio.
namespace ringbell::test::in_docs {

#ifdef RINGBELL_BOOST_ASIO
namespace asio {
using namespace boost::asio;
using boost::system::error_code;
}  // namespace asio
#endif

#if RINGBELL_ASIO_VERSION >= 102800

#include "docs_inbox.hpp"

#endif

}  // namespace ringbell::test::in_docs
