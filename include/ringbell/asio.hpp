// SPDX-License-Identifier: BSL-1.0
#pragma once

/// Channels and services as Asio objects. This header needs Asio (the standalone one, or Boost's
/// when RINGBELL_BOOST_ASIO is defined); see docs/asio.md.

#include <ringbell/asio/async_run.hpp>
#include <ringbell/asio/channel.hpp>
#include <ringbell/asio/client.hpp>
#include <ringbell/asio/config.hpp>
#include <ringbell/asio/connect.hpp>
#include <ringbell/asio/error.hpp>
#include <ringbell/asio/executor.hpp>
#include <ringbell/asio/from_asio.hpp>
#include <ringbell/asio/listener.hpp>
#include <ringbell/asio/run_in.hpp>
#include <ringbell/asio/server.hpp>
#include <ringbell/asio/stream.hpp>
#include <ringbell/asio/stream_acceptor.hpp>
