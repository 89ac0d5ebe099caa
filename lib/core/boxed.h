// A value that only few have, apart from those who do not: a pointer in size. Copied and compared
// by what it holds.
#pragma once

#include <memory>
#include <utility>

namespace muster::core {

template <class T>
class Boxed {
 public:
  Boxed() = default;
  Boxed(const Boxed& other) : value_(other ? std::make_unique<T>(*other) : nullptr) {}
  Boxed(Boxed&&) noexcept = default;
  Boxed& operator=(const Boxed& other) { return *this = Boxed(other); }
  Boxed& operator=(Boxed&&) noexcept = default;
  ~Boxed() = default;

  template <class... Arguments>
  T& emplace(Arguments&&... arguments) {
    value_ = std::make_unique<T>(std::forward<Arguments>(arguments)...);
    return *value_;
  }
  void reset() noexcept { value_.reset(); }
  [[nodiscard]] explicit operator bool() const noexcept { return value_ != nullptr; }
  // REQUIRES of the next two: there is one.
  [[nodiscard]] T& operator*() noexcept { return *value_; }
  [[nodiscard]] const T& operator*() const noexcept { return *value_; }
  [[nodiscard]] T* operator->() noexcept { return value_.get(); }
  [[nodiscard]] const T* operator->() const noexcept { return value_.get(); }
  // Null when there is none.
  [[nodiscard]] const T* get() const noexcept { return value_.get(); }

  friend bool operator==(const Boxed& a, const Boxed& b) {
    return a.value_ == b.value_ || (a && b && *a == *b);
  }

 private:
  std::unique_ptr<T> value_;
};

}  // namespace muster::core
