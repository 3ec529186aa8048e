// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <utility>

namespace ringbell::detail {

/// A pointer that counts as a reference to its object. The object keeps the count; two functions
/// beside its class change it:
///
///     void add_reference(T& object) noexcept;
///     void release_reference(T& object) noexcept;  // deletes it with the last one
///
/// The class need not be complete where the pointer is used.
/// Thread-safety: that of the object's count; none of the counts in this library is atomic.
template <class T>
class intrusive_ptr {
public:
  intrusive_ptr() noexcept = default;
  explicit intrusive_ptr(T& object) noexcept : object_(&object) { add_reference(object); }
  intrusive_ptr(const intrusive_ptr& other) noexcept : object_(other.object_) {
    if (object_) add_reference(*object_);
  }
  intrusive_ptr(intrusive_ptr&& other) noexcept : object_(std::exchange(other.object_, nullptr)) {}
  intrusive_ptr& operator=(intrusive_ptr other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~intrusive_ptr() {
    if (object_) release_reference(*object_);
  }

  T* get() const noexcept { return object_; }
  T& operator*() const noexcept { return *object_; }
  T* operator->() const noexcept { return object_; }
  explicit operator bool() const noexcept { return object_ != nullptr; }

private:
  T* object_ = nullptr;
};

}  // namespace ringbell::detail
