// Reading /proc: links and small files, into memory that is used again.
//
// One thread for each object.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace muster::os {

class ProcFiles {
 public:
  ProcFiles();

  // The target of a link; empty, with errno set, where it cannot be read. Good until the next call.
  [[nodiscard]] std::string_view link(int directory, const char* name);
  // A whole file; `error` is its errno, or 0. Good until the next call.
  [[nodiscard]] std::string_view file(int directory, const char* name, int& error);
  // The same for a file that the kernel gives out at one read, as those of fdinfo/.
  [[nodiscard]] std::string_view short_file(int directory, const char* name, int& error);

 private:
  std::vector<char> link_;
  std::vector<char> file_;
};

// Calls `each` with every line, without its end.
template <typename Each>
void for_each_line(std::string_view text, const Each& each) {
  for (std::size_t at = 0; at < text.size();) {
    auto end = text.find('\n', at);
    if (end == std::string_view::npos) end = text.size();
    each(text.substr(at, end - at));
    at = end + 1;
  }
}

// The inode in "mnt:[4026531841]", "net:[4026531840]"; 0 for another text.
[[nodiscard]] std::uint64_t namespace_inode(std::string_view link);

// The value behind "name:" at the start of a line, without blanks; empty when there is none.
[[nodiscard]] std::string_view value_of(std::string_view text, std::string_view name);

}  // namespace muster::os
