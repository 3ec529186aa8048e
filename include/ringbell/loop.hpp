// SPDX-License-Identifier: BSL-1.0
#pragma once

/// The event loop, a pool of loops, and what a coroutine can wait for besides messages: handles and
/// signals.

#include <ringbell/loop/loop.hpp>
#include <ringbell/loop/loop_pool.hpp>
#include <ringbell/loop/readiness.hpp>
#include <ringbell/loop/signals.hpp>
#include <ringbell/loop/spin_policy.hpp>
