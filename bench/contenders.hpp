// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "link.hpp"

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace ringbell::bench {

// What there is to measure; each list is a file of its own.

/// What the hardware and the kernel can do: one cache line, a bare ring, futex, eventfd, pipe,
/// memcpy.
std::vector<contender> reference_contenders();
/// ringbell's native loop, with each back end that works here.
std::vector<contender> native_contenders();
/// Calls of a service.
std::vector<contender> service_contenders();
/// ringbell with many channels at a time.
std::vector<contender> crowd_contenders();
/// Connections that are made and closed.
std::vector<contender> connect_contenders();
/// ringbell on Asio, and Asio's own Unix sockets. None without Asio.
std::vector<contender> asio_contenders();
std::vector<contender> asio_crowd_contenders();
contender asio_connect_contender();

/// HTTP by Boost.Beast, over ringbell's streams and over Unix sockets.
std::vector<contender> http_contenders(std::string& version);

// The peers, with the version of each library that was built in.
std::vector<contender> zeromq_contenders(std::string& version);
std::vector<contender> nng_contenders(std::string& version);
std::vector<contender> boost_contenders(std::string& version);
std::vector<contender> iceoryx_contenders(std::string& version);

/// What could not be built in, or does not work here, and why.
struct absentee {
  std::string name;
  std::string reason;
};

struct contender_list {
  std::vector<contender> there;
  std::vector<absentee> absent;
  std::vector<std::pair<std::string, std::string>>
      versions;  ///< of the libraries that are built in

  /// Null when there is none.
  const contender* find(std::string_view id) const noexcept;
};
contender_list all_contenders();

}  // namespace ringbell::bench
