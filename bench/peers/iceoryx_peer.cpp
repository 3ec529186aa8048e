// SPDX-License-Identifier: BSL-1.0
// iceoryx: a publisher and a subscriber for each direction, that block when the queue is full. The
// subscriber polls, or waits in a WaitSet, as iceoryx's own iceperf does. Its daemon, iox-roudi, is
// started with the first link and ends with this program.
#include "blocking_link.hpp"
#include "contenders.hpp"
#include "iceoryx_daemon.hpp"
#include "ring_size.hpp"

#include <iceoryx_hoofs/log/logmanager.hpp>
#include <iceoryx_posh/popo/untyped_publisher.hpp>
#include <iceoryx_posh/popo/untyped_subscriber.hpp>
#include <iceoryx_posh/popo/wait_set.hpp>
#include <iceoryx_posh/runtime/posh_runtime.hpp>
#include <iceoryx_versions.hpp>

#include <unistd.h>
#include <algorithm>
#include <chrono>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>

namespace ringbell::bench {

namespace {

using iox::capro::IdString_t;
using iox::cxx::TruncateToCapacity;

/// Once for a process.
void start_runtime() {
  static const bool started = [] {
    iox::log::LogManager::GetLogManager().SetDefaultLogLevel(
        iox::log::LogLevel::kOff, iox::log::LogLevelOutput::kHideLogLevel);
    const std::string name = "ringbell-bench-" + std::to_string(::getpid());
    iox::runtime::PoshRuntime::initRuntime(iox::RuntimeName_t(TruncateToCapacity, name.c_str()));
    return true;
  }();
  static_cast<void>(started);
}

template <bool Waits>
class iceoryx_end {
public:
  explicit iceoryx_end(const link_options& options) : options_(options) {
    if (!options.answering) iceoryx_daemon::start();
  }
  void listen() { open(side::child); }
  void become(side which) {
    if (which == side::parent) open(which);
    while (subscriber_->getSubscriptionState() != iox::SubscribeState::SUBSCRIBED ||
           !publisher_->hasSubscribers())
      std::this_thread::sleep_for(std::chrono::milliseconds(
          1));  // the daemon connects them; the caller's watchdog bounds it
  }
  void send(const std::byte* bytes, std::size_t size) {
    bool sent = false;
    publisher_->lease(static_cast<std::uint32_t>(size)).and_then([&](void* chunk) {
      std::memcpy(chunk, bytes, size);
      publisher_->publish(chunk);
      sent = true;
    });
    if (!sent)
      throw std::runtime_error("iceoryx has no chunk for " + std::to_string(size) + " bytes");
  }
  void receive(std::byte* bytes, std::size_t size) {
    for (bool received = false; !received;) {
      subscriber_->take().and_then([&](const void* chunk) {
        std::memcpy(bytes, chunk, size);
        subscriber_->release(chunk);
        received = true;
      });
      if constexpr (Waits)
        if (!received) waiting_->wait();
    }
  }
  void flush() const noexcept {}

private:
  void open(side which) {
    const threads_unbound meanwhile(options_.where, which == side::child);
    start_runtime();
    const std::string link =
        std::filesystem::path(options_.path).parent_path().filename().string() + '-' +
        std::filesystem::path(options_.path).filename().string();
    const auto described = [&](const char* direction) {
      return iox::capro::ServiceDescription(IdString_t("ringbell-bench"),
                                            IdString_t(TruncateToCapacity, link.c_str()),
                                            IdString_t(TruncateToCapacity, direction));
    };
    iox::popo::PublisherOptions sending;
    sending.subscriberTooSlowPolicy = iox::popo::ConsumerTooSlowPolicy::WAIT_FOR_CONSUMER;
    iox::popo::SubscriberOptions receiving;
    receiving.queueFullPolicy = iox::popo::QueueFullPolicy::BLOCK_PRODUCER;
    receiving.queueCapacity =
        std::clamp<std::uint64_t>(ring_bytes_for(options_.size) / options_.size, 4, 256);
    publisher_.emplace(described(which == side::parent ? "there" : "back"), sending);
    subscriber_.emplace(described(which == side::parent ? "back" : "there"), receiving);
    if constexpr (Waits) {
      waiting_.emplace();
      waiting_->attachState(*subscriber_, iox::popo::SubscriberState::HAS_DATA).or_else([](auto) {
        throw std::runtime_error("iceoryx: no WaitSet");
      });
    }
  }
  link_options options_;
  std::optional<iox::popo::UntypedPublisher> publisher_;
  std::optional<iox::popo::UntypedSubscriber> subscriber_;
  std::optional<iox::popo::WaitSet<>> waiting_;
};

template <bool Waits>
contender make(const char* id, const char* title) {
  contender c = blocking_contender<iceoryx_end<Waits>>(id, title, contender::role::peer, !Waits);
  c.answers_in_new_program = true;
  return c;
}

}  // namespace

std::vector<contender> iceoryx_contenders(std::string& version) {
  version = ICEORYX_LATEST_RELEASE_VERSION;
  return {make<false>("iceoryx-poll", "iceoryx, polling"),
          make<true>("iceoryx-waitset", "iceoryx, WaitSet")};
}

}  // namespace ringbell::bench
