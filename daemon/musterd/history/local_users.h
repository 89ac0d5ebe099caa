// Names of this host's own users, from /etc/passwd. Not the name service: that may hang, and who
// reads the history asks it anyway. One thread.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <sys/stat.h>
#include <sys/types.h>
#include <utility>

namespace muster::daemon {

class LocalUsers {
 public:
  explicit LocalUsers(std::filesystem::path file = "/etc/passwd") : file_(std::move(file)) {}

  // Empty when the file does not have it. Reads the file when it has changed.
  [[nodiscard]] std::string name_of(uid_t uid);

 private:
  void read();

  std::filesystem::path file_;
  struct stat seen_ {};
  std::map<uid_t, std::string> names_;
};

}  // namespace muster::daemon
