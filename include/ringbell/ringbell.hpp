// SPDX-License-Identifier: BSL-1.0
#pragma once

/// All of ringbell, except what needs another library (asio.hpp). A translation unit that uses one or two types includes their headers instead.

#include <ringbell/as_result.hpp>
#include <ringbell/channel.hpp>
#include <ringbell/channel_statistics.hpp>
#include <ringbell/claim.hpp>
#include <ringbell/connect.hpp>
#include <ringbell/endpoint.hpp>
#include <ringbell/environment.hpp>
#include <ringbell/errors.hpp>
#include <ringbell/handshake.hpp>
#include <ringbell/layout.hpp>
#include <ringbell/listener.hpp>
#include <ringbell/loop.hpp>
#include <ringbell/loop_pool.hpp>
#include <ringbell/message.hpp>
#include <ringbell/readiness.hpp>
#include <ringbell/receiver.hpp>
#include <ringbell/result.hpp>
#include <ringbell/ring_reader.hpp>
#include <ringbell/ring_writer.hpp>
#include <ringbell/scope.hpp>
#include <ringbell/sender.hpp>
#include <ringbell/signals.hpp>
#include <ringbell/sleep.hpp>
#include <ringbell/stop_token.hpp>
#include <ringbell/sys/bell.hpp>
#include <ringbell/sys/cpu.hpp>
#include <ringbell/sys/doorbell.hpp>
#include <ringbell/sys/futex.hpp>
#include <ringbell/sys/handle.hpp>
#include <ringbell/sys/local_socket.hpp>
#include <ringbell/sys/platform.hpp>
#include <ringbell/sys/quiet_thread.hpp>
#include <ringbell/sys/region.hpp>
#include <ringbell/sys/service_path.hpp>
#include <ringbell/sys/signal_handle.hpp>
#include <ringbell/task.hpp>
#include <ringbell/timeout.hpp>
#include <ringbell/when_all.hpp>
#include <ringbell/when_any.hpp>
