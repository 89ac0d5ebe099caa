// The ways in which a process can have a file in use, for children that a test forks.
//
// What cannot be done throws std::runtime_error.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "support/child.h"

namespace muster::test {

// Throws, with errno's text, when `result` is below zero; returns it.
int must(int result, const std::string& what);
int must_open(const std::string& path, int flags);  // O_CREAT is added
void in_private_mounts();
void bind_socket(const std::string& path);
// Sends an open file over a socket pair, and leaves it there.
void send_in_flight(const std::string& path);

// A child that holds something by `how` until it goes; nothing, with a sentence, when it cannot.
[[nodiscard]] std::unique_ptr<Child> start_holder(const std::function<void()>& how,
                                                  std::string& problem);

struct Holding {
  const char* name;   // of a test
  const char* title;  // of a row of a table
  std::string (*why_not)();
  // `directory` has a file "file".
  std::function<void(const std::string& directory)> hold;
  const char* kinds;    // what a scan says of it: "1 descriptor"
  const char* example;  // below the directory
};

// Each is of the process that holds, for sure.
[[nodiscard]] std::vector<Holding> holdings_of_processes();

}  // namespace muster::test
