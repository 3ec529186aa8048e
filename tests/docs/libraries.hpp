// SPDX-License-Identifier: BSL-1.0
#pragma once

// What the blocks of the pages that use Asio or another library may take for granted, because the
// examples begin with it: blocks explains.

#include <ringbell/ringbell.hpp>

#include <array>
#include <chrono>
#include <concepts>
#include <cstdio>
#include <cstring>
#include <exception>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include <unistd.h>

#ifdef RINGBELL_DOCS_WITH_ASIO
#include <ringbell/asio.hpp>

#include <asio/experimental/as_tuple.hpp>
#include <asio/experimental/awaitable_operators.hpp>

#if __has_include(<asio/as_tuple.hpp>)
using asio::as_tuple;
#else
using asio::experimental::as_tuple;
#endif
using asio::awaitable;
using asio::use_awaitable;
using asio::ip::tcp;
#endif

using namespace std::chrono_literals;
