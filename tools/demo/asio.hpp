// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "commands.hpp"

#include <ringbell/channel/statistics.hpp>

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>

// All that this program knows of Asio. It can be built without: RINGBELL_WITH_ASIO says which, to
// demo/asio.cpp alone.
namespace ringbell::tool {

/// The Asio that this program was built with, such as "Asio 1.22.1" or "Boost.Asio 1.81.0"; empty
/// when with none.
std::string asio_built_with();

namespace demo {

struct sample;

/// One end of a channel on an io_context, which runs only within the calls. What goes wrong is
/// thrown as std::system_error.
class asio_link {
public:
  asio_link() = default;
  asio_link(const asio_link&) = delete;
  asio_link& operator=(const asio_link&) = delete;
  virtual ~asio_link() = default;

  /// Null when this program was built without Asio.
  static std::unique_ptr<asio_link> accept(const std::string& name, const common_options& common);
  static std::unique_ptr<asio_link> connect(const std::string& name, const common_options& common);

  /// Sends back what comes, until an empty message does.
  virtual void echo() = 0;
  /// Round trips one after the other, as asio::awaitable makes them; at first `warm_up` that do not
  /// count.
  virtual void round_trips(std::size_t size, int warm_up, std::chrono::nanoseconds d,
                           sample& s) = 0;
  virtual channel_statistics statistics() const = 0;
};

}  // namespace demo

}  // namespace ringbell::tool
