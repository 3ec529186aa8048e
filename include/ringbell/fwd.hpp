// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/detail/language.hpp>

/// Declarations of ringbell's types, for headers that only mention them. The Asio front end has no
/// such header, because its types have Asio's executors as default arguments.

namespace ringbell {

template <class T = void>
class task;
template <class T>
class result;
enum class errc;

class loop;
class loop_pool;
class scope;
class inplace_stop_source;
class inplace_stop_token;

class channel;
class sender;
class receiver;
class message;
class claim;
class listener;
class stream;
class stream_listener;

class client;
class call_stream;
class server;
class request;
class reply;
class payload;
class client_observer;
class server_observer;

struct call_options;
struct client_options;
struct connect_options;
struct listener_options;
struct loop_options;
struct server_options;

}  // namespace ringbell
