// SPDX-License-Identifier: BSL-1.0
#pragma once

/// All of ringbell, except the parts that need another library (asio.hpp). A translation unit that
/// uses only one or two types includes their headers instead.

#include <ringbell/channel.hpp>
#include <ringbell/coro.hpp>
#include <ringbell/errors.hpp>
#include <ringbell/fwd.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/result.hpp>
#include <ringbell/service.hpp>
#include <ringbell/sys/bell_kind.hpp>
#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/peer_identity.hpp>
#include <ringbell/sys/platform.hpp>
#include <ringbell/time_limit.hpp>
#include <ringbell/version.hpp>
