// Cuts a stream of bytes into frames, in place where it can.
//
// Frames that are whole in what was read are handed on where they stand. Of one that is not, the
// bytes are kept in a buffer of the connection's own until it is whole; that buffer grows with
// what really came, never with what a header promised.
#pragma once

#include <algorithm>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "core/queue_account.h"
#include "wire/framing.h"

namespace muster::broker {

// The beginning of a frame; empty when there is none. What it takes is in its user's account while
// it is there.
class PartialFrame {
 public:
  PartialFrame() = default;
  PartialFrame(PartialFrame&& other) noexcept
      : bytes_(std::move(other.bytes_)),
        account_(other.account_),
        charged_(std::exchange(other.charged_, 0)) {}
  PartialFrame& operator=(PartialFrame&& other) noexcept {
    std::swap(bytes_, other.bytes_);
    std::swap(account_, other.account_);
    std::swap(charged_, other.charged_);
    return *this;
  }
  ~PartialFrame() { settle(0); }

  // `account` outlives what is kept. REQUIRES: nothing is.
  void charge(core::QueueAccount& account) noexcept { account_ = &account; }
  void reset() noexcept { (void)take(); }
  // False when it takes more than the account has room for.
  [[nodiscard]] bool has_room() const noexcept {
    return charged_ == 0 || account_->used <= account_->limit;
  }

  [[nodiscard]] explicit operator bool() const noexcept { return bytes_ != nullptr; }
  [[nodiscard]] const std::string& operator*() const noexcept { return *bytes_; }
  [[nodiscard]] const std::string* operator->() const noexcept { return bytes_.get(); }
  void append(std::string_view more) {
    if (!bytes_) bytes_ = std::make_unique<std::string>();
    bytes_->append(more);
    settle(bytes_->capacity());
  }
  // Empty after it.
  [[nodiscard]] std::unique_ptr<std::string> take() noexcept {
    settle(0);
    return std::move(bytes_);
  }

 private:
  void settle(std::size_t bytes) noexcept {
    if (account_ == nullptr) return;
    account_->used += bytes - charged_;
    charged_ = bytes;
  }

  std::unique_ptr<std::string> bytes_;
  core::QueueAccount* account_ = nullptr;
  std::size_t charged_ = 0;
};

// Calls on_frame(body) for each frame that ends in `input`, until it returns false (`partial` is
// not touched after that: it may be gone). The problem when the stream is no frames.
template <class OnFrame>
std::string split_frames(PartialFrame& partial, std::string_view input, std::size_t max_body,
                         OnFrame&& on_frame) {
  while (partial) {
    auto frame = wire::next_frame(*partial, max_body);
    if (frame.status == wire::FrameView::Status::kBad) return std::move(frame.problem);
    if (frame.status == wire::FrameView::Status::kComplete) {
      const auto whole = partial.take();
      if (!on_frame(frame.body)) return {};
      break;
    }
    if (input.empty()) return {};
    const std::size_t wanted = std::min(frame.bytes - partial->size(), input.size());
    partial.append(input.substr(0, wanted));
    input.remove_prefix(wanted);
  }
  while (!input.empty()) {
    auto frame = wire::next_frame(input, max_body);
    if (frame.status == wire::FrameView::Status::kBad) return std::move(frame.problem);
    if (frame.status == wire::FrameView::Status::kIncomplete) {
      partial.append(input);
      return {};
    }
    input.remove_prefix(frame.bytes);
    if (!on_frame(frame.body)) return {};
  }
  return {};
}

}  // namespace muster::broker
