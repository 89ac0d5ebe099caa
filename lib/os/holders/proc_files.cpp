#include "os/holders/proc_files.h"

#include <cerrno>
#include <charconv>
#include <climits>
#include <cstdint>
#include <fcntl.h>
#include <unistd.h>

#include "os/unique_fd.h"

namespace muster::os {
namespace {

constexpr std::size_t kFirstFileBytes = 64UL * 1024;

}  // namespace

ProcFiles::ProcFiles() : link_(PATH_MAX + 64), file_(kFirstFileBytes) {}

std::string_view ProcFiles::link(int directory, const char* name) {
  const ssize_t size = ::readlinkat(directory, name, link_.data(), link_.size());
  return {link_.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::string_view ProcFiles::file(int directory, const char* name, int& error) {
  const UniqueFd open(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  error = open ? 0 : errno;
  std::size_t have = 0;
  while (open) {
    if (have == file_.size()) file_.resize(file_.size() * 2);
    const ssize_t size = ::read(open.get(), file_.data() + have, file_.size() - have);
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) error = errno;
    if (size <= 0) break;
    have += static_cast<std::size_t>(size);
  }
  return {file_.data(), have};
}

std::string_view ProcFiles::short_file(int directory, const char* name, int& error) {
  const UniqueFd open(::openat(directory, name, O_RDONLY | O_CLOEXEC));
  const ssize_t size = open ? ::read(open.get(), file_.data(), file_.size()) : -1;
  error = size < 0 ? errno : 0;
  return {file_.data(), size > 0 ? static_cast<std::size_t>(size) : 0};
}

std::uint64_t namespace_inode(std::string_view link) {
  const auto open = link.find('[');
  std::uint64_t inode = 0;
  if (open == std::string_view::npos) return 0;
  std::from_chars(link.data() + open + 1, link.data() + link.size(), inode);
  return inode;
}

std::string_view value_of(std::string_view text, std::string_view name) {
  std::string_view value;
  for_each_line(text, [&](std::string_view line) {
    if (!line.starts_with(name) || line.size() <= name.size() || line[name.size()] != ':') return;
    line.remove_prefix(name.size() + 1);
    const auto begin = line.find_first_not_of(" \t");
    if (begin != std::string_view::npos && value.empty()) value = line.substr(begin);
  });
  return value;
}

}  // namespace muster::os
