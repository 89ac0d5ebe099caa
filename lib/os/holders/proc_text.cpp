#include "os/holders/proc_text.h"

#include <algorithm>
#include <charconv>

#include "os/holders/mount_table.h"
#include "os/holders/proc_files.h"

namespace muster::os {
namespace {

constexpr unsigned kKernelThread = 0x00200000;  // PF_KTHREAD, in field 9 of /proc/PID/stat

// The path of the unified hierarchy, else of systemd's own.
std::string_view cgroup_path(std::string_view cgroup) {
  std::string_view path;
  for_each_line(cgroup, [&](std::string_view line) {
    for (const std::string_view hierarchy : {"0::", ":name=systemd:"}) {
      const auto at = line.find(hierarchy);
      if (at == std::string_view::npos || (hierarchy[0] == '0' && at != 0)) continue;
      if (line.size() > at + hierarchy.size() + 1) path = line.substr(at + hierarchy.size());
    }
  });
  return path;
}

// The id in "docker-ID.scope", "libpod-ID.scope", "cri-containerd-ID.scope" and "ID"; or empty.
std::string_view container_id(std::string_view name) {
  if (name.ends_with(".scope")) name.remove_suffix(6);
  if (const auto dash = name.rfind('-'); dash != std::string_view::npos) {
    name.remove_prefix(dash + 1);
  }
  const bool is_id =
      name.size() == 64 && name.find_first_not_of("0123456789abcdef") == std::string_view::npos;
  return is_id ? name : std::string_view();
}

}  // namespace

std::uint64_t as_number(std::string_view text, int base) {
  std::uint64_t value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value, base);
  return value;
}

std::string_view stat_field(std::string_view stat, int number) {
  const auto name_end = stat.rfind(')');
  if (name_end == std::string_view::npos) return {};
  stat.remove_prefix(name_end + 1);
  for (int field = 3;; ++field) {
    const auto begin = stat.find_first_not_of(' ');
    if (begin == std::string_view::npos) return {};
    const auto end = std::min(stat.find(' ', begin), stat.size());
    if (field == number) return stat.substr(begin, end - begin);
    stat.remove_prefix(end);
  }
}

bool is_kernel_thread(std::string_view stat) {
  return (as_number(stat_field(stat, 9)) & kKernelThread) != 0;
}

std::string command_of(std::string_view stat) {
  const auto open = stat.find('(');
  const auto close = stat.rfind(')');
  if (open == std::string_view::npos || close == std::string_view::npos || close <= open) return {};
  return std::string(stat.substr(open + 1, close - open - 1));
}

Unit unit_of(std::string_view cgroup) {
  Unit unit;
  std::string_view path = cgroup_path(cgroup);
  while (!path.empty()) {
    const auto slash = path.rfind('/');
    const auto last = path.substr(slash == std::string_view::npos ? 0 : slash + 1);
    path = path.substr(0, slash == std::string_view::npos ? 0 : slash);
    if (const auto id = container_id(last); !id.empty()) {
      unit.name = "container " + std::string(id.substr(0, 12));
    } else if (last.ends_with(".service") || last.ends_with(".scope")) {
      unit.name = last;
    }
    if (!unit.name.empty()) break;
  }
  // What a user's service manager has stands below "user@1000.service".
  constexpr std::string_view kManager = "/user@";
  if (const auto at = path.find(kManager); at != std::string_view::npos) {
    unit.user = static_cast<uid_t>(as_number(path.substr(at + kManager.size())));
  }
  return unit;
}

// "UserFiles:\t2", then "    0: /path" for each that is there.
RingFiles ring_files(std::string_view fdinfo) {
  RingFiles files;
  const auto begin = fdinfo.find("UserFiles:");
  if (begin == std::string_view::npos) {
    files.complete = false;
    return files;
  }
  const auto count = as_number(value_of(fdinfo.substr(begin), "UserFiles"));
  std::uint64_t listed = 0;
  bool is_heading = true;
  bool is_list = true;
  for_each_line(fdinfo.substr(begin), [&](std::string_view line) {
    if (is_heading) {
      is_heading = false;
      return;
    }
    const auto colon = line.find(": ");
    is_list = is_list && colon != std::string_view::npos &&
              line.find_first_not_of(" 0123456789") == colon;
    if (!is_list) return;
    ++listed;
    std::string path = decode_octal(line.substr(colon + 2));
    if (path.starts_with('/')) {
      files.paths.push_back(std::move(path));
    } else if (!path.empty() && path != "<none>" && path.find('[') == std::string::npos) {
      files.complete = false;
    }
  });
  if (count > 0 && listed == 0) files.complete = false;
  return files;
}

}  // namespace muster::os
