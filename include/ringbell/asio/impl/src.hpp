// SPDX-License-Identifier: BSL-1.0
#pragma once

/// The compiled part of the Asio front end. ringbell's library contains it for the Asio that it was
/// built with, and for both Asios when both were found. A program that uses another one (another
/// version, another reactor) does not link: `undefined reference to ringbell::detail::asio_...`.
/// Such a program includes this header in one of its source files, and so compiles this part
/// itself.

#include <ringbell/asio/impl/accept_operation.ipp>
#include <ringbell/asio/impl/asio_call.ipp>
#include <ringbell/asio/impl/asio_connection.ipp>
#include <ringbell/asio/impl/channel_operations.ipp>
#include <ringbell/asio/impl/client.ipp>
#include <ringbell/asio/impl/connect_operation.ipp>
#include <ringbell/asio/impl/driven_loop.ipp>
#include <ringbell/asio/impl/error.ipp>
#include <ringbell/asio/impl/executor.ipp>
#include <ringbell/asio/impl/follow_up.ipp>
#include <ringbell/asio/impl/operation.ipp>
#include <ringbell/asio/impl/pending_operation.ipp>
#include <ringbell/asio/impl/run_in.ipp>
#include <ringbell/asio/impl/run_operation.ipp>
#include <ringbell/asio/impl/server.ipp>
#include <ringbell/asio/impl/service_state.ipp>
#include <ringbell/asio/impl/stream_operations.ipp>
#include <ringbell/asio/impl/waitable.ipp>
