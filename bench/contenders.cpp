// SPDX-License-Identifier: BSL-1.0
#include "contenders.hpp"

#ifdef RINGBELL_WITH_ICEORYX
#include "peers/iceoryx_daemon.hpp"
#endif

#include <algorithm>
#include <iterator>
#include <utility>

namespace ringbell::bench {

const contender* contender_list::find(std::string_view id) const noexcept {
  const auto found =
      std::find_if(there.begin(), there.end(), [id](const contender& c) { return c.id == id; });
  return found == there.end() ? nullptr : &*found;
}

contender_list all_contenders() {
  contender_list all;
  const auto add = [&all](std::vector<contender> some) {
    std::move(some.begin(), some.end(), std::back_inserter(all.there));
  };
  add(reference_contenders());
  add(native_contenders());
  add(service_contenders());
  add(crowd_contenders());
  add(connect_contenders());
  if (!all.find("native/io_uring/none"))
    all.absent.push_back({"ringbell on io_uring", "does not work here; see 'ringbell doctor'"});
#ifdef RINGBELL_WITH_ASIO
  add(asio_contenders());
  add(asio_crowd_contenders());
  all.there.push_back(asio_connect_contender());
#else
  all.absent.push_back(
      {"ringbell in Asio, and Asio's Unix socket", "not built in: libasio-dev missing"});
#endif
  [[maybe_unused]] const auto add_peer = [&](const char* name,
                                             std::vector<contender> (*make)(std::string&)) {
    std::string version;
    add(make(version));
    all.versions.emplace_back(name, version);
  };
#ifdef RINGBELL_WITH_BEAST
  add_peer("Boost.Beast", http_contenders);
#else
  all.absent.push_back({"HTTP by Boost.Beast", "not built in: libboost1.81-dev missing"});
#endif
#ifdef RINGBELL_WITH_ZEROMQ
  add_peer("zeromq", zeromq_contenders);
#else
  all.absent.push_back({"ZeroMQ", "not built in: libzmq3-dev missing"});
#endif
#ifdef RINGBELL_WITH_NNG
  add_peer("nng", nng_contenders);
#else
  all.absent.push_back({"nng", "not built in: libnng-dev missing"});
#endif
#ifdef RINGBELL_WITH_BOOST_INTERPROCESS
  add_peer("boost", boost_contenders);
#else
  all.absent.push_back({"Boost.Interprocess", "not built in: libboost-dev missing"});
#endif
#ifdef RINGBELL_WITH_ICEORYX
  if (const std::string obstacle = iceoryx_daemon::obstacle(); obstacle.empty())
    add_peer("iceoryx", iceoryx_contenders);
  else
    all.absent.push_back({"iceoryx", obstacle});
#else
  all.absent.push_back({"iceoryx", "not built in: libiceoryx-posh-dev missing"});
#endif
  return all;
}

}  // namespace ringbell::bench
