// SPDX-License-Identifier: BSL-1.0
#include <ringbell/channel/detail/handshake.hpp>
#include <ringbell/ring/layout.hpp>

#include <algorithm>
#include <bit>
#include <cassert>
#include <concepts>
#include <optional>

namespace ringbell::handshake {

namespace {

enum class frame_type : std::uint16_t { hello = 1, welcome = 2, refused = 3 };

constexpr std::size_t hello_size = 48;
constexpr std::size_t welcome_size = 32;
constexpr std::size_t refused_size = 32;
static_assert(max_frame == std::max({hello_size, welcome_size, refused_size}));
static_assert(answer_size == welcome_size && answer_size == refused_size);

// The code of a reason on the wire is its index here plus one. The values of `errc` may change with
// the library; the codes of the protocol may not.
constexpr std::array reasons = {errc::refused_version,      errc::refused_unauthorized,
                                errc::refused_too_many,     errc::refused_ring_size,
                                errc::refused_bell,         errc::refused_stopping,
                                errc::refused_malformed,    errc::refused_too_many_of_user,
                                errc::refused_no_resources, errc::refused_kind};

std::uint16_t code_of(errc reason) noexcept {
  if (std::ranges::find(reasons, reason) == reasons.end()) reason = errc::refused_malformed;
  return static_cast<std::uint16_t>(std::ranges::find(reasons, reason) - reasons.begin() + 1);
}

constexpr bool exists(std::uint8_t kind) noexcept {
  return kind <= static_cast<std::uint8_t>(sys::bell_kind::futex);
}

bool contains(sys::bell_set set, sys::bell_kind kind) noexcept {
  return exists(static_cast<std::uint8_t>(kind)) && (set & sys::bell_bit(kind)) != 0;
}

// Writes the fields in the order of docs/protocol.md, byte by byte, so the result depends neither
// on the machine's byte order nor on the alignment of the buffer.
class field_writer {
public:
  explicit field_writer(encoded_frame& to) noexcept : to_(to) {}

  template <std::unsigned_integral T>
  void put(T value) noexcept {
    for (std::size_t i = 0; i < sizeof(T); ++i)
      to_.storage[to_.size++] = static_cast<std::byte>(value >> (8 * i));
  }
  void put(sys::bell_kind kind) noexcept { put(static_cast<std::uint8_t>(kind)); }
  void put_header(frame_type type, std::size_t size) noexcept {
    put(magic);
    put(static_cast<std::uint16_t>(type));
    put(static_cast<std::uint16_t>(size));
  }
  void skip(std::size_t reserved) noexcept { to_.size += reserved; }  // the storage is zeroed

private:
  encoded_frame& to_;
};

// Reads what field_writer writes. An invalid field does not stop the reading; check `ok()` after
// the last field.
class field_reader {
public:
  explicit field_reader(std::span<const std::byte> from) noexcept : from_(from) {}

  template <std::unsigned_integral T>
  T get() noexcept {
    std::uint64_t value = 0;
    for (std::size_t i = 0; i < sizeof(T); ++i)
      value |= std::to_integer<std::uint64_t>(from_[at_++]) << (8 * i);
    return static_cast<T>(value);
  }
  sys::bell_kind get_bell() noexcept {
    const auto kind = get<std::uint8_t>();
    if (exists(kind)) return static_cast<sys::bell_kind>(kind);
    ok_ = false;
    return sys::bell_kind::socket;
  }
  errc get_reason() noexcept {
    const auto code = get<std::uint16_t>();
    if (code >= 1 && code <= reasons.size()) return reasons[code - 1u];
    ok_ = false;
    return errc::refused_malformed;
  }
  void skip(std::size_t reserved) noexcept {
    while (reserved-- > 0) ok_ &= get<std::uint8_t>() == 0;
  }
  bool ok() const noexcept { return ok_ && at_ == from_.size(); }

private:
  std::span<const std::byte> from_;
  std::size_t at_ = 0;
  bool ok_ = true;
};

void write(field_writer& out, const hello& h) noexcept {
  out.put_header(frame_type::hello, hello_size);
  out.put(h.version_min);
  out.put(h.version_max);
  out.put(static_cast<std::uint8_t>(h.kind));
  out.skip(3);
  out.put(h.can_wait_on);
  out.put(h.can_ring);
  out.put(h.ring_bytes);
  out.put(h.wanted_ring_bytes);
  out.put(h.max_message);
}

void read(field_reader& in, hello& h) noexcept {
  h.version_min = in.get<std::uint16_t>();
  h.version_max = in.get<std::uint16_t>();
  h.kind = static_cast<record_kind>(in.get<std::uint8_t>());
  in.skip(3);
  h.can_wait_on = in.get<sys::bell_set>();
  h.can_ring = in.get<sys::bell_set>();
  h.ring_bytes = in.get<std::uint64_t>();
  h.wanted_ring_bytes = in.get<std::uint64_t>();
  h.max_message = in.get<std::uint64_t>();
}

void write(field_writer& out, const welcome& w) noexcept {
  out.put_header(frame_type::welcome, welcome_size);
  out.put(w.version);
  out.put(w.wakes_client);
  out.put(w.wakes_server);
  out.skip(4);
  out.put(w.ring_bytes);
  out.put(w.max_message);
}

void read(field_reader& in, welcome& w) noexcept {
  w.version = in.get<std::uint16_t>();
  w.wakes_client = in.get_bell();
  w.wakes_server = in.get_bell();
  in.skip(4);
  w.ring_bytes = in.get<std::uint64_t>();
  w.max_message = in.get<std::uint64_t>();
}

void write(field_writer& out, const refused& r) noexcept {
  out.put_header(frame_type::refused, refused_size);
  out.put(code_of(r.reason));
  out.skip(6);
  out.put(r.limit_low);
  out.put(r.limit_high);
}

void read(field_reader& in, refused& r) noexcept {
  r.reason = in.get_reason();
  in.skip(6);
  r.limit_low = in.get<std::uint64_t>();
  r.limit_high = in.get<std::uint64_t>();
}

// Returns zero for a type that does not exist.
std::size_t size_of(frame_type type) noexcept {
  switch (type) {
    case frame_type::hello: return hello_size;
    case frame_type::welcome: return welcome_size;
    case frame_type::refused: return refused_size;
  }
  return 0;
}

// Returns the size of the whole frame by its header, or zero when that is not a valid header.
std::size_t announced_size(std::span<const std::byte> header) noexcept {
  field_reader in{header};
  if (in.get<std::uint32_t>() != magic) return 0;
  const std::size_t expected = size_of(static_cast<frame_type>(in.get<std::uint16_t>()));
  return in.get<std::uint16_t>() == expected ? expected : 0;
}

template <class Body>
std::optional<frame> decode_as(field_reader in) noexcept {
  Body body;
  read(in, body);
  if (!in.ok()) return std::nullopt;
  return body;
}

// `whole` has passed announced_size, and has the size that it returned.
std::optional<frame> decode(std::span<const std::byte> whole) noexcept {
  const field_reader body{whole.subspan(header_size)};
  const auto type = static_cast<frame_type>(field_reader{whole.subspan(4)}.get<std::uint16_t>());
  switch (type) {
    case frame_type::hello: return decode_as<hello>(body);
    case frame_type::welcome: return decode_as<welcome>(body);
    case frame_type::refused: return decode_as<refused>(body);
  }
  return std::nullopt;
}

std::optional<sys::bell_kind> choose_bell(sys::bell_set waiter, sys::bell_set ringer,
                                          bool same_user) noexcept {
  const sys::bell_set common = usable_between(waiter & ringer, same_user);
  for (const auto kind : {sys::bell_kind::eventfd, sys::bell_kind::socket, sys::bell_kind::futex})
    if (contains(common, kind)) return kind;
  return std::nullopt;
}

}  // namespace

encoded_frame encode(const frame& f) noexcept {
  encoded_frame encoded;
  field_writer out{encoded};
  if (const auto* h = std::get_if<hello>(&f)) write(out, *h);
  if (const auto* w = std::get_if<welcome>(&f)) write(out, *w);
  if (const auto* r = std::get_if<refused>(&f)) write(out, *r);
  return encoded;
}

// For a frame that is complete or broken, have_ == need_: no more bytes are wanted, and `received`
// keeps its result.
std::span<std::byte> frame_reader::want() noexcept {
  return std::span{buffer_}.subspan(have_, need_ - have_);
}

result<frame> frame_reader::received(std::size_t n) noexcept {
  assert(n <= need_ - have_);
  have_ += n;
  if (have_ < header_size) return errc::would_block;

  const std::span<const std::byte> so_far = std::span{buffer_}.first(have_);
  if (size_ == 0) size_ = announced_size(so_far);
  if (size_ < have_) {  // not a frame, or shorter than the shortest that is allowed
    need_ = have_;
    return errc::bad_peer;
  }
  need_ = size_;
  if (have_ < need_) return errc::would_block;
  if (const auto whole = decode(so_far)) return *whole;
  return errc::bad_peer;
}

bool valid_ring_size(std::uint64_t bytes) noexcept {
  return std::has_single_bit(bytes) && bytes >= ring::min_ring_bytes &&
         bytes <= ring::max_ring_bytes;
}

std::variant<welcome, refused> answer(const hello& greeting, const server_terms& terms) noexcept {
  // The version is checked first, because the meaning of the other fields depends on it.
  if (greeting.version_min > greeting.version_max) return refused{};
  if (greeting.version_min > protocol_version || greeting.version_max < oldest_version)
    return refused{errc::refused_version, oldest_version, protocol_version};

  if (greeting.kind != terms.kind)
    return refused{errc::refused_kind, static_cast<std::uint64_t>(terms.kind), 0};

  const bool own_fits = valid_ring_size(greeting.ring_bytes) &&
                        greeting.ring_bytes >= terms.min_ring_bytes &&
                        greeting.ring_bytes <= terms.max_ring_bytes;
  const bool has_wish = greeting.wanted_ring_bytes != 0;
  if (!own_fits || (has_wish && !std::has_single_bit(greeting.wanted_ring_bytes)))
    return refused{errc::refused_ring_size, terms.min_ring_bytes, terms.max_ring_bytes};

  const auto wakes_client = choose_bell(greeting.can_wait_on, terms.can_ring, terms.same_user);
  const auto wakes_server = choose_bell(terms.can_wait_on, greeting.can_ring, terms.same_user);
  if (!wakes_client || !wakes_server) return refused{errc::refused_bell, 0, 0};

  welcome w;
  w.version = std::min(greeting.version_max, protocol_version);
  w.wakes_client = *wakes_client;
  w.wakes_server = *wakes_server;
  w.ring_bytes = has_wish ? std::min(std::max(greeting.wanted_ring_bytes, terms.min_ring_bytes),
                                     terms.max_ring_bytes)
                          : terms.default_ring_bytes;
  w.max_message = terms.max_message;
  return w;
}

std::error_code check(const welcome& answer, const hello& asked) noexcept {
  const bool version_offered =
      answer.version >= asked.version_min && answer.version <= asked.version_max;
  const bool bells_offered = contains(asked.can_wait_on, answer.wakes_client) &&
                             contains(asked.can_ring, answer.wakes_server);
  if (!version_offered || !bells_offered || !valid_ring_size(answer.ring_bytes))
    return errc::bad_peer;
  return {};
}

std::error_code check(const server_terms& terms) noexcept {
  const bool valid = valid_ring_size(terms.min_ring_bytes) &&
                     valid_ring_size(terms.default_ring_bytes) &&
                     valid_ring_size(terms.max_ring_bytes);
  const bool ordered = terms.min_ring_bytes <= terms.default_ring_bytes &&
                       terms.default_ring_bytes <= terms.max_ring_bytes;
  if (!valid || !ordered) return errc::bad_ring_size;
  return {};
}

std::size_t expected_handles(const hello& h) noexcept {
  return contains(h.can_wait_on, sys::bell_kind::eventfd) ? 2 : 1;
}

std::size_t expected_handles(const welcome& w) noexcept {
  return w.wakes_server == sys::bell_kind::eventfd ? 2 : 1;
}

}  // namespace ringbell::handshake
