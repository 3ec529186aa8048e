// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "support/process.hpp"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstddef>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

// What the standard streams of a program can be: files and pipes.
namespace ringbell::test {

/// A folder for files that is the test's own, removed with everything in it.
class file_folder {
public:
  file_folder() {
    static const std::filesystem::path parent = std::filesystem::temp_directory_path();
    static std::atomic<unsigned> count{0};
    path_ = parent / ("ringbell-test-" + std::to_string(::GetCurrentProcessId()) + '-' +
                      std::to_string(++count));
    if (!std::filesystem::create_directory(path_))
      throw std::runtime_error("a temporary folder is there already");
  }
  file_folder(const file_folder&) = delete;
  file_folder& operator=(const file_folder&) = delete;
  ~file_folder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  std::string path() const { return path_.string(); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

private:
  std::filesystem::path path_;
};

/// What is in such a folder.
inline std::vector<std::string> left_in(const file_folder& folder) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(folder.path()))
    names.push_back(entry.path().filename().string());
  return names;
}

class descriptor {
public:
  explicit descriptor(HANDLE opened) : handle_(opened) {
    if (!opened || opened == INVALID_HANDLE_VALUE) throw std::runtime_error("no handle");
  }
  descriptor(descriptor&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  descriptor& operator=(descriptor&&) = delete;
  ~descriptor() { reset(); }
  HANDLE get() const { return handle_; }
  void reset() {
    if (const HANDLE owned = std::exchange(handle_, nullptr)) ::CloseHandle(owned);
  }

private:
  HANDLE handle_;
};

inline descriptor reading(const std::string& path) {
  return descriptor(::CreateFileA(path.c_str(), GENERIC_READ,
                                  FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                                  OPEN_EXISTING, FILE_ATTRIBUTE_NORMAL, nullptr));
}
inline descriptor writing(const std::string& path) {
  return descriptor(::CreateFileA(path.c_str(), GENERIC_WRITE,
                                  FILE_SHARE_READ | FILE_SHARE_WRITE | FILE_SHARE_DELETE, nullptr,
                                  CREATE_ALWAYS, FILE_ATTRIBUTE_NORMAL, nullptr));
}
inline descriptor reading_nothing() { return reading("NUL"); }

/// Each write fails, with an error of which this is the text: there is no device that is always
/// full.
inline descriptor writing_in_vain() { return reading_nothing(); }
inline constexpr const char* in_vain = "Bad file descriptor";

struct plumbing {
  plumbing() : plumbing(ends()) {}
  descriptor out;
  descriptor in;

private:
  static std::pair<HANDLE, HANDLE> ends() {
    std::pair<HANDLE, HANDLE> both;
    if (!::CreatePipe(&both.first, &both.second, nullptr, 65536))
      throw std::runtime_error("CreatePipe failed");
    return both;
  }
  explicit plumbing(std::pair<HANDLE, HANDLE> both) : out(both.first), in(both.second) {}
};

/// What comes out of a pipe within that time, up to `most` bytes: "" at its end, nothing when
/// nothing came.
inline std::optional<std::string> next_piece(const descriptor& from,
                                             std::chrono::milliseconds limit,
                                             std::size_t most = 65536) {
  const auto deadline = std::chrono::steady_clock::now() + limit;
  DWORD there = 0;
  while (::PeekNamedPipe(from.get(), nullptr, 0, nullptr, &there, nullptr) && there == 0) {
    if (std::chrono::steady_clock::now() > deadline) return std::nullopt;
    ::Sleep(1);
  }
  std::string piece(most, '\0');
  DWORD n = 0;
  if (!::ReadFile(from.get(), piece.data(), static_cast<DWORD>(most), &n, nullptr)) n = 0;
  piece.resize(n);
  return piece;
}

/// False when nobody reads any more.
inline bool write_all(const descriptor& to, std::string_view bytes) {
  while (!bytes.empty()) {
    DWORD n = 0;
    if (!::WriteFile(to.get(), bytes.data(), static_cast<DWORD>(bytes.size()), &n, nullptr))
      return false;
    bytes.remove_prefix(n);
  }
  return true;
}

/// Whether who has it, or a copy of it, is not made to wait.
inline bool is_nonblocking(const descriptor& d) {
  DWORD state = 0;
  return ::GetNamedPipeHandleStateA(d.get(), &state, nullptr, nullptr, nullptr, nullptr, 0) &&
         (state & PIPE_NOWAIT) != 0;
}

}  // namespace ringbell::test
