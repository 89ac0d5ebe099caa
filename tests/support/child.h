// A forked child that runs one function and then waits to be told to end.
//
// The child has none of the parent's descriptors but the standard three, and must not touch what
// belongs to other threads of the parent; tests that fork have one.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <sys/types.h>

#include "os/unique_fd.h"

namespace muster::test {

class Child {
 public:
  // What runs in the child: say() writes to the parent, wait_to_be_told() returns when the parent
  // called tell(). When the function returns the child exits at once, without destructors.
  class Side {
   public:
    Side(int in, int out) : in_(in), out_(out) {}
    void say(std::string_view text) const;
    void wait_to_be_told() const;

   private:
    int in_;
    int out_;
  };

  explicit Child(const std::function<void(Side&)>& run);
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;
  // Kills what still runs and reaps it.
  ~Child();

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  // Waits until the child said something: one line, without its end. Empty when it is gone.
  [[nodiscard]] std::string hear();
  // Has something been said (or has it ended)? Does not wait.
  [[nodiscard]] bool has_spoken() const;
  void tell();
  void kill();
  // Waits until the child has ended.
  void reap();

 private:
  pid_t pid_ = -1;
  os::UniqueFd from_child_;
  os::UniqueFd to_child_;
};

}  // namespace muster::test
