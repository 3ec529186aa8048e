// SPDX-License-Identifier: BSL-1.0
#include <ringbell/service/reply.hpp>

#include <ringbell/service/detail/frame.hpp>

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

namespace ringbell {

namespace {

constexpr std::size_t longest_text = 4096;

class handler_category_type final : public std::error_category {
public:
  const char* name() const noexcept override { return "ringbell-handler"; }
  std::string message(int value) const override {
    return "the service's handler answered with its error " + std::to_string(value);
  }
};

service_frame::failure numbered(std::error_code code) noexcept {
  using service_frame::code_domain;
  service_frame::failure f;
  f.domain = code_domain::service;
  f.code = service_frame::number_of(errc::handler_failed);
  if (detail::same_category(code.category(), category())) {
    // The other codes of ringbell are about the handler's own channels. The client would take them
    // for errors of its own connection.
    if (const std::int32_t number = service_frame::number_of(static_cast<errc>(code.value())))
      f.code = number;
  } else if (code && (code.category() == std::generic_category() ||
                      code.category() == std::system_category())) {
    f.domain = code_domain::system;
    f.code = code.value();
  } else if (code && detail::same_category(code.category(), handler_category())) {
    f.domain = code_domain::handler;
    f.code = code.value();
  }
  return f;
}

}  // namespace

const std::error_category& handler_category() noexcept {
  alignas(handler_category_type) static std::byte storage[sizeof(handler_category_type)];
  static const auto& instance =
      *new (storage) handler_category_type;  // never destroyed: see category()
  return instance;
}

reply::reply(std::string bytes) : reply(detail::owned<std::string>(std::move(bytes))) {}
reply::reply(std::vector<std::byte> bytes)
    : reply(detail::owned<std::vector<std::byte>>(std::move(bytes))) {}
reply::reply(std::string_view bytes) : reply(std::string(bytes)) {}
reply::reply(std::span<const std::byte> bytes)
    : reply(std::vector<std::byte>(bytes.begin(), bytes.end())) {}

reply reply::failure(std::error_code code, const std::string& text) {
  const auto head = service_frame::encode(numbered(code));
  std::string bytes(reinterpret_cast<const char*>(head.data()), head.size());
  bytes.append(text, 0, longest_text);
  reply r(std::move(bytes));
  r.failed_ = true;
  r.code_ = code ? code : make_error_code(errc::handler_failed);
  return r;
}

reply reply::failure(const std::exception_ptr& error) {
  try {
    std::rethrow_exception(error);
  } catch (const call_error& e) {
    return failure(e.code(), e.text());
  } catch (const std::system_error& e) {
    return failure(e.code(), e.what());
  } catch (const std::bad_alloc&) {
    return failure(std::make_error_code(std::errc::not_enough_memory),
                   "the service is out of memory");
  } catch (const std::exception& e) {
    return failure(errc::handler_failed, e.what());
  } catch (...) {
    return failure(errc::handler_failed, "the handler threw something that is no std::exception");
  }
}

reply&& reply::with_metadata(std::string_view bytes) && {
  if (bytes.size() > service_frame::max_metadata)
    throw std::system_error(errc::message_too_large,
                            "ringbell: metadata of " + std::to_string(bytes.size()) + " bytes");
  metadata_ = bytes;
  return std::move(*this);
}

}  // namespace ringbell
