// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <stdlib.h>
#include <filesystem>
#include <stdexcept>
#include <string>
#include <system_error>

namespace ringbell::bench {

/// A folder of our own, which goes with this object, and all that is in it.
class temporary_folder {
public:
  temporary_folder()
      : path_((std::filesystem::temp_directory_path() / "ringbell-bench-XXXXXX").string()) {
    if (!::mkdtemp(path_.data()))
      throw std::runtime_error("cannot make a folder in " +
                               std::filesystem::temp_directory_path().string());
  }
  temporary_folder(const temporary_folder&) = delete;
  temporary_folder& operator=(const temporary_folder&) = delete;
  ~temporary_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  const std::string& path() const noexcept { return path_; }
  /// A name in it that was not given before.
  std::string new_name() const { return path_ + '/' + std::to_string(++names_); }

private:
  std::string path_;
  mutable unsigned names_ = 0;
};

}  // namespace ringbell::bench
