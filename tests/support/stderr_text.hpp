// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <cstdio>
#include <stdexcept>
#include <string>

#include <unistd.h>

namespace ringbell::test {

/// Keeps what is written to stderr while it lives.
class stderr_text {
public:
  stderr_text() : file_(std::tmpfile()), before_(::dup(2)) {
    std::fflush(stderr);
    if (!file_ || before_ < 0 || ::dup2(::fileno(file_), 2) < 0)
      throw std::runtime_error("stderr cannot be redirected");
  }
  stderr_text(const stderr_text&) = delete;
  stderr_text& operator=(const stderr_text&) = delete;
  ~stderr_text() {
    std::fflush(stderr);
    ::dup2(before_, 2);
    ::close(before_);
    std::fclose(file_);
  }
  /// What was written so far.
  std::string text() const {
    std::fflush(stderr);
    std::rewind(file_);
    std::string all;
    for (int c = std::fgetc(file_); c != EOF; c = std::fgetc(file_)) all += static_cast<char>(c);
    return all;
  }

private:
  std::FILE* file_;
  int before_;
};

}  // namespace ringbell::test
