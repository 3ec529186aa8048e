// SPDX-License-Identifier: BSL-1.0
// Boost.Interprocess: a message_queue for each direction. Its names are gone before the first
// message.
#include "blocking_link.hpp"
#include "contenders.hpp"
#include "ring_size.hpp"

#include <boost/interprocess/ipc/message_queue.hpp>
#include <boost/version.hpp>

#include <unistd.h>
#include <algorithm>
#include <memory>
#include <stdexcept>
#include <string>

namespace ringbell::bench {

namespace {

using boost::interprocess::message_queue;

class boost_end {
public:
  explicit boost_end(const link_options& options)
      : size_(options.size), there_(make(options.size)), back_(make(options.size)) {}
  void become(side which) noexcept {
    out_ = which == side::parent ? there_.get() : back_.get();
    in_ = which == side::parent ? back_.get() : there_.get();
  }
  void send(const std::byte* bytes, std::size_t size) { out_->send(bytes, size, 0); }
  void receive(std::byte* bytes, std::size_t size) {
    // It wants room for the longest message, whatever comes.
    std::byte small[acknowledgement];
    std::vector<std::byte> room;
    std::byte* to = bytes;
    if (size < size_) {
      if (size_ <= sizeof small)
        to = small;
      else
        room.resize(size_), to = room.data();
    }
    message_queue::size_type got = 0;
    unsigned priority = 0;
    in_->receive(to, size_, got, priority);
    if (got != size) throw std::runtime_error("Boost.Interprocess: a message of another size");
    if (to != bytes) std::copy_n(to, size, bytes);
  }
  void flush() const noexcept {}

private:
  static std::unique_ptr<message_queue> make(std::uint64_t size) {
    static unsigned made = 0;
    const std::string name =
        "ringbell-bench-" + std::to_string(::getpid()) + '-' + std::to_string(++made);
    const auto count = std::clamp<std::uint64_t>(ring_bytes_for(size) / size, 4, 128);
    auto queue = std::make_unique<message_queue>(boost::interprocess::create_only, name.c_str(),
                                                 count, size);
    message_queue::remove(name.c_str());  // the children inherit the memory
    return queue;
  }
  std::uint64_t size_;
  std::unique_ptr<message_queue> there_;
  std::unique_ptr<message_queue> back_;
  message_queue* out_ = nullptr;
  message_queue* in_ = nullptr;
};

}  // namespace

std::vector<contender> boost_contenders(std::string& version) {
  version = std::to_string(BOOST_VERSION / 100000) + '.' +
            std::to_string(BOOST_VERSION / 100 % 1000) + '.' + std::to_string(BOOST_VERSION % 100);
  return {blocking_contender<boost_end>("boost-mq", "Boost.Interprocess message_queue",
                                        contender::role::peer, false)};
}

}  // namespace ringbell::bench
