// SPDX-License-Identifier: BSL-1.0
//
// Runs a fuzz target without libFuzzer, so that it is an ordinary test with every compiler: replays
// the files and folders given as arguments, then random mutations of them, the same ones in every
// run.
//
//   run_corpus [--mutations=N] [--seed=S] FILE_OR_FOLDER...
#include <algorithm>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

namespace {

using corpus_input = std::vector<std::uint8_t>;

constexpr std::size_t longest_input = 4096;

// What is running, for the report when the target aborts.
const corpus_input* current = nullptr;

// abort() raises its signal in the middle of the target, not of a library call of ours, so stdio is
// in order here.
void report_and_die(int signal) {
  std::fprintf(stderr, "the target aborted on %zu bytes:", current->size());
  for (const std::uint8_t byte : *current) std::fprintf(stderr, " %02x", byte);
  std::fprintf(stderr, "\n");
  std::signal(signal, SIG_DFL);
  std::raise(signal);
}

void run(const corpus_input& bytes) {
  current = &bytes;
  // A copy of exact size, so that a sanitizer sees a read beyond the end.
  const corpus_input exact(bytes.begin(), bytes.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

class mutator {
public:
  mutator(const std::vector<corpus_input>& seeds, std::uint64_t seed)
      : seeds_(seeds), random_(seed) {}

  corpus_input next() {
    corpus_input bytes = seeds_[below(seeds_.size())];
    for (std::size_t changes = 1 + below(4); changes > 0; --changes) change(bytes);
    if (bytes.size() > longest_input) bytes.resize(longest_input);
    return bytes;
  }

private:
  // The generator's numbers are the same in every standard library; those of the distributions are
  // not.
  std::size_t below(std::size_t limit) { return static_cast<std::size_t>(random_() % limit); }
  std::uint8_t byte() { return static_cast<std::uint8_t>(below(256)); }
  static auto at(corpus_input& bytes, std::size_t i) {
    return bytes.begin() + static_cast<std::ptrdiff_t>(i);
  }

  void change(corpus_input& bytes) {
    if (bytes.empty()) {
      bytes.push_back(byte());
      return;
    }
    const std::size_t where = below(bytes.size());
    switch (below(7)) {
      case 0: bytes[where] ^= static_cast<std::uint8_t>(1u << below(8)); break;
      case 1: bytes[where] = byte(); break;
      case 2: bytes.insert(at(bytes, where), byte()); break;
      case 3: bytes.erase(at(bytes, where)); break;
      case 4: bytes.resize(where); break;
      case 5: overwrite_with_extreme(bytes, where); break;
      case 6: append_part_of_a_seed(bytes); break;
    }
  }

  void overwrite_with_extreme(corpus_input& bytes, std::size_t where) {
    static constexpr std::uint64_t extremes[] = {0,
                                                 1,
                                                 8,
                                                 0x7fff,
                                                 0xffff,
                                                 0x7fffffff,
                                                 0xffffffff,
                                                 0x100000000,
                                                 0x8000000000000000,
                                                 0xfffffffffffffff8,
                                                 0xffffffffffffffff};
    const std::uint64_t value = extremes[below(std::size(extremes))];
    const std::size_t width = std::min(std::size_t{1} << below(4), bytes.size() - where);
    for (std::size_t i = 0; i < width; ++i)
      bytes[where + i] = static_cast<std::uint8_t>(value >> (8 * i));
  }

  void append_part_of_a_seed(corpus_input& bytes) {
    const corpus_input& other = seeds_[below(seeds_.size())];
    const std::size_t from = other.empty() ? 0 : below(other.size());
    bytes.insert(bytes.end(), other.begin() + static_cast<std::ptrdiff_t>(from), other.end());
  }

  const std::vector<corpus_input>& seeds_;
  std::mt19937_64 random_;
};

corpus_input read_file(const std::filesystem::path& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) {
    std::fprintf(stderr, "cannot read %s\n", path.string().c_str());
    std::exit(2);
  }
  return corpus_input(std::istreambuf_iterator<char>(file), {});
}

void collect(const std::filesystem::path& path, std::vector<std::filesystem::path>& files) {
  if (!std::filesystem::is_directory(path)) {
    files.push_back(path);
    return;
  }
  for (const auto& entry : std::filesystem::recursive_directory_iterator(path))
    if (entry.is_regular_file()) files.push_back(entry.path());
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t mutations = 20000;
  std::uint64_t seed = 1;
  std::vector<std::filesystem::path> files;
  for (int i = 1; i < argc; ++i) {
    const std::string argument = argv[i];
    if (argument.starts_with("--mutations="))
      mutations = std::strtoull(argument.c_str() + argument.find('=') + 1, nullptr, 10);
    else if (argument.starts_with("--seed="))
      seed = std::strtoull(argument.c_str() + argument.find('=') + 1, nullptr, 10);
    else
      collect(argument, files);
  }
  // A folder lists its files in any order; the mutations depend on it.
  std::sort(files.begin(), files.end());

  std::vector<corpus_input> seeds;
  for (const auto& path : files) seeds.push_back(read_file(path));
  if (seeds.empty()) {
    std::fprintf(stderr, "no input: expected files, or a folder that has some\n");
    return 2;
  }

  std::signal(SIGABRT, report_and_die);
  run({});
  for (const corpus_input& bytes : seeds) run(bytes);
  mutator mutate(seeds, seed);
  for (std::uint64_t i = 0; i < mutations; ++i) run(mutate.next());
  std::printf("%zu inputs and %llu mutations of them: ok\n", seeds.size(),
              static_cast<unsigned long long>(mutations));
}
