#include "os/holders/mount_table.h"

#include <algorithm>
#include <charconv>

#include "muster/path.h"

#include "os/holders/proc_files.h"

namespace muster::os {
namespace {

std::string_view next_word(std::string_view& line) {
  const auto begin = line.find_first_not_of(' ');
  if (begin == std::string_view::npos) return line = {};
  const auto end = std::min(line.find(' ', begin), line.size());
  const auto word = line.substr(begin, end - begin);
  line.remove_prefix(end);
  return word;
}

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::uint64_t> device_number(std::string_view text) {
  const auto colon = text.find(':');
  if (colon == std::string_view::npos) return std::nullopt;
  const auto major = number(text.substr(0, colon));
  const auto minor = number(text.substr(colon + 1));
  if (!major || !minor) return std::nullopt;
  return *major << 32U | *minor;
}

// "36 35 98:0 /root /point rw,noatime shared:1 master:2 - ext3 /dev/root rw,errors=continue"
std::optional<Mount> parse_mount(std::string_view line) {
  Mount mount;
  const auto id = number(next_word(line));
  const auto parent = number(next_word(line));
  const auto device = device_number(next_word(line));
  if (!id || !parent || !device) return std::nullopt;
  mount.id = *id;
  mount.parent = *parent;
  mount.device = *device;
  mount.root = decode_octal(next_word(line));
  mount.point = decode_octal(next_word(line));
  next_word(line);
  for (;;) {
    const auto field = next_word(line);
    if (field.empty()) return std::nullopt;
    if (field == "-") break;
    if (field.starts_with("shared:")) mount.shared = number(field.substr(7)).value_or(0);
    if (field.starts_with("master:")) mount.master = number(field.substr(7)).value_or(0);
  }
  mount.type = next_word(line);
  next_word(line);
  mount.options = decode_octal(next_word(line));
  // Of a namespace that is mounted itself, the root is "mnt:[4026532201]".
  const bool has_root = mount.root.starts_with('/') || mount.type == "nsfs";
  if (!has_root || !mount.point.starts_with('/')) return std::nullopt;
  return mount;
}

}  // namespace

std::string decode_octal(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '7'; };
  for (std::size_t at = 0; at < text.size(); ++at) {
    if (text[at] == '\\' && at + 3 < text.size() && digit(at + 1) && digit(at + 2) &&
        digit(at + 3)) {
      out += static_cast<char>((text[at + 1] - '0') * 64 + (text[at + 2] - '0') * 8 +
                               (text[at + 3] - '0'));
      at += 3;
    } else {
      out += text[at];
    }
  }
  return out;
}

std::string join_paths(std::string_view directory, std::string_view below_it) {
  std::string path(directory == "/" ? "" : directory);
  while (below_it.starts_with('/')) below_it.remove_prefix(1);
  if (below_it.empty()) return path.empty() ? "/" : path;
  return path.append("/").append(below_it);
}

std::optional<std::string_view> below(std::string_view directory, std::string_view path) {
  if (!path_is_under(directory, path)) return std::nullopt;
  path.remove_prefix(directory == "/" ? 0 : directory.size());
  while (path.starts_with('/')) path.remove_prefix(1);
  return path;
}

std::vector<Mount> parse_mountinfo(std::string_view text) {
  std::vector<Mount> mounts;
  for_each_line(text, [&](std::string_view line) {
    if (auto mount = parse_mount(line)) mounts.push_back(std::move(*mount));
  });
  return mounts;
}

void MountTable::add(std::string_view mountinfo, std::uint64_t space, std::string_view root,
                     pid_t seen_by) {
  for (Mount& mount : parse_mountinfo(mountinfo)) {
    if (by_id_.contains(mount.id)) continue;
    // A process with another root directory sees mount points from that root.
    if (root != "/") mount.point = join_paths(root, mount.point);
    mount.space = space;
    mount.seen_by = seen_by;
    by_id_.emplace(mount.id, mounts_.size());
    mounts_.push_back(std::move(mount));
  }
}

const Mount* MountTable::find(std::uint64_t id) const {
  const auto at = by_id_.find(id);
  return at == by_id_.end() ? nullptr : &mounts_[at->second];
}

const Mount* MountTable::covering(std::uint64_t space, std::string_view path) const {
  const Mount* best = nullptr;
  for (const Mount& mount : mounts_) {
    if (mount.space != space || !path_is_under(mount.point, path)) continue;
    if (best == nullptr || mount.point.size() >= best->point.size()) best = &mount;
  }
  return best;
}

bool MountTable::has_space(std::uint64_t space) const {
  return std::any_of(mounts_.begin(), mounts_.end(),
                     [&](const Mount& mount) { return mount.space == space; });
}

}  // namespace muster::os
