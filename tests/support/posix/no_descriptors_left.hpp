// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <ringbell/sys/handle.hpp>

#include <fcntl.h>
#include <sys/resource.h>

#include <cstddef>
#include <vector>

namespace ringbell::test {

/// Takes all descriptors that this process may have, but for `spare`.
class no_descriptors_left {
public:
  explicit no_descriptors_left(std::size_t spare = 0) {
    ::getrlimit(RLIMIT_NOFILE, &before_);
    rlimit few = before_;
    few.rlim_cur = 256;
    ::setrlimit(RLIMIT_NOFILE, &few);
    for (int fd; (fd = ::open("/dev/null", O_RDONLY | O_CLOEXEC)) >= 0;) taken_.emplace_back(fd);
    taken_.resize(taken_.size() - spare);
  }
  ~no_descriptors_left() { ::setrlimit(RLIMIT_NOFILE, &before_); }
  no_descriptors_left(const no_descriptors_left&) = delete;
  no_descriptors_left& operator=(const no_descriptors_left&) = delete;

private:
  rlimit before_{};
  std::vector<sys::handle> taken_;
};

}  // namespace ringbell::test
