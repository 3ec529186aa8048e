// SPDX-License-Identifier: BSL-1.0
#pragma once

/// Tasks and what combines and ends them: task, scope, when_all, when_any, timeout, sleep, stop
/// tokens.

#include <ringbell/coro/as_result.hpp>
#include <ringbell/coro/coroutine_context.hpp>
#include <ringbell/coro/scope.hpp>
#include <ringbell/coro/sleep.hpp>
#include <ringbell/coro/stop_token.hpp>
#include <ringbell/coro/task.hpp>
#include <ringbell/coro/timeout.hpp>
#include <ringbell/coro/when_all.hpp>
#include <ringbell/coro/when_any.hpp>
