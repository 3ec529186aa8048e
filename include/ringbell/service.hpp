// SPDX-License-Identifier: BSL-1.0
#pragma once

/// Requests and replies on channels: clients, servers, and streams in both directions.

#include <ringbell/service/call_error.hpp>
#include <ringbell/service/call_stream.hpp>
#include <ringbell/service/client.hpp>
#include <ringbell/service/client_options.hpp>
#include <ringbell/service/codec.hpp>
#include <ringbell/service/method.hpp>
#include <ringbell/service/observer.hpp>
#include <ringbell/service/payload.hpp>
#include <ringbell/service/reply.hpp>
#include <ringbell/service/request.hpp>
#include <ringbell/service/server.hpp>
#include <ringbell/service/server_options.hpp>
#include <ringbell/service/statistics.hpp>
