// SPDX-License-Identifier: BSL-1.0
// Protobuf messages as requests and replies, serialized straight into shared memory. protobuf serve
// [NAME] in one terminal, protobuf call [NAME] in another. The codec is all that a program needs to
// take from here.
#include <ringbell/ringbell.hpp>

#include <google/protobuf/message_lite.h>

#include <concepts>
#include <csignal>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <exception>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>

#include "inventory.pb.h"

/// Every message that protoc generates.
template <std::derived_from<google::protobuf::MessageLite> T>
struct ringbell::codec<T> {
  static std::size_t size(const T& message) { return message.ByteSizeLong(); }
  /// It writes each byte once, in order, and reads none back: fit for memory that the peer can read
  /// already.
  static void encode(const T& message, std::span<std::byte> into) {
    if (!message.SerializeToArray(into.data(), static_cast<int>(into.size())))
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              message.GetTypeName() + " cannot be serialized");
  }
  static T decode(std::span<const std::byte> bytes) {
    T message;
    if (!std::in_range<int>(bytes.size()) ||
        !message.ParseFromArray(bytes.data(), static_cast<int>(bytes.size())))
      throw std::system_error(std::make_error_code(std::errc::invalid_argument),
                              "not a message of type " + message.GetTypeName());
    return message;
  }
};

namespace {

constexpr std::uint32_t look_up = ringbell::method_id("look_up");

ringbell::task<ringbell::reply> answer(ringbell::request r) {
  static const std::map<std::string, std::int64_t, std::less<>> shelves{{"bell", 12}, {"ring", 7}};
  if (r.method() != look_up) throw std::system_error(ringbell::errc::no_such_method);
  const auto query = r.as<inventory::Query>();
  inventory::Stock stock;
  for (const std::string& name : query.names()) {
    const auto found = shelves.find(name);
    inventory::Stock::Item& item = *stock.add_items();
    item.set_name(name);
    item.set_count(found == shelves.end() ? 0 : found->second);
  }
  co_return ringbell::reply::of(std::move(stock));
}

ringbell::task<> serve(ringbell::loop& lp, std::string name) {
  ringbell::server service(lp, name, answer);
  co_await ringbell::signalled(SIGINT, SIGTERM);
  co_await service.stop();
}

ringbell::task<> call(ringbell::loop& lp, std::string name) {
  ringbell::client service = co_await ringbell::client::connect(lp, name);
  inventory::Query query;
  query.add_names("bell");
  query.add_names("rope");
  const ringbell::payload reply = co_await service.call_with(look_up, query);
  const auto stock = reply.as<inventory::Stock>();
  for (const inventory::Stock::Item& item : stock.items())
    std::printf("%s %lld\n", item.name().c_str(), static_cast<long long>(item.count()));

  try {
    co_await service.call(look_up, "\xff\xff\xff");
  } catch (const ringbell::call_error& error) {  // from decode(), by way of the handler
    std::printf("%s\n", error.what());
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const std::string_view side = argc > 1 ? argv[1] : "";
  const std::string name = argc > 2 ? argv[2] : "inventory";
  if (side != "serve" && side != "call") {
    std::fprintf(stderr, "usage: protobuf serve|call [NAME]\n");
    return 2;
  }
  ringbell::loop lp;
  lp.run(side == "serve" ? serve(lp, name) : call(lp, name));
} catch (const std::exception& error) {
  std::fprintf(stderr, "%s\n", error.what());
  return 1;
}
