// SPDX-License-Identifier: BSL-1.0
#pragma once

/// Channels between two processes: connect, listen, send, receive.

#include <ringbell/channel/channel.hpp>
#include <ringbell/channel/claim.hpp>
#include <ringbell/channel/connect.hpp>
#include <ringbell/channel/connect_options.hpp>
#include <ringbell/channel/listener.hpp>
#include <ringbell/channel/listener_options.hpp>
#include <ringbell/channel/message.hpp>
#include <ringbell/channel/receiver.hpp>
#include <ringbell/channel/sender.hpp>
#include <ringbell/channel/statistics.hpp>
#include <ringbell/channel/stream.hpp>
#include <ringbell/channel/stream_listener.hpp>
