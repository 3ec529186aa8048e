// SPDX-License-Identifier: BSL-1.0
#include "doctor/doctor.hpp"

#include <ringbell/channel/connect.hpp>
#include <ringbell/ring/layout.hpp>
#include <ringbell/sys/limit.hpp>

#include <sys/resource.h>

namespace ringbell::tool {

namespace {

template <class Resource>
rlimit limit_of(Resource resource) noexcept {
  rlimit found{};
  ::getrlimit(resource, &found);
  return found;
}

std::string text_of(rlim_t limit, const char* unit = "") {
  return limit == RLIM_INFINITY ? "unlimited" : std::to_string(limit) + unit;
}

// The control socket, the own region and two eventfds are open in each channel: this is enough for
// some 250.
constexpr rlim_t few_descriptors = 1024;
constexpr rlim_t little_address_space = 1 << 30;

}  // namespace

findings look_at_process_limits(const char* cost_of_channel) {
  findings all;
  const rlimit files = limit_of(RLIMIT_NOFILE);
  all.push_back({"open files", files.rlim_cur < few_descriptors ? verdict::limited : verdict::ok,
                 text_of(files.rlim_cur) + " (ulimit -n; at most " + text_of(files.rlim_max) +
                     "); " + cost_of_channel});
  const bool rings_fit = sys::fits_file_limit(ring::control_bytes + connect_options().ring_bytes);
  all.push_back({"file size", rings_fit ? verdict::ok : verdict::limited,
                 text_of(limit_of(RLIMIT_FSIZE).rlim_cur, " bytes") +
                     " (ulimit -f); shared memory counts as a file" +
                     (rings_fit ? "" : ", and the usual ring is larger")});
  all.push_back(
      {"processes", verdict::ok,
       text_of(limit_of(RLIMIT_NPROC).rlim_cur) + " with the threads of this user (ulimit -u)"});
  const rlim_t space = limit_of(RLIMIT_AS).rlim_cur;
  all.push_back({"address space", space < little_address_space ? verdict::limited : verdict::ok,
                 text_of(space, " bytes") + " (ulimit -v)"});
  return all;
}

}  // namespace ringbell::tool
