#include "os/holders/wanted.h"

#include <algorithm>
#include <utility>

#include "muster/path.h"

namespace muster::os {
namespace {

constexpr std::string_view kDeleted = " (deleted)";
constexpr std::string_view kDeletedRoot = "//deleted";  // a bind mount of what was removed

std::string_view without_deleted_root(std::string_view root) {
  if (root.ends_with(kDeletedRoot)) root.remove_suffix(kDeletedRoot.size());
  return root;
}

// Whether all of it can be reached in its namespace by a name that is not below the prefix.
bool is_bound_from_elsewhere(const MountTable& mounts, const Mount& mount,
                             const std::string& prefix) {
  return std::any_of(mounts.all().begin(), mounts.all().end(), [&](const Mount& other) {
    return other.device == mount.device && other.space == mount.space &&
           !path_is_under(prefix, other.point) && path_is_under(other.root, mount.root);
  });
}

}  // namespace

std::string_view without_deleted(std::string_view text) {
  if (text.ends_with(kDeleted)) text.remove_suffix(kDeleted.size());
  return text;
}

void Wanted::Spellings::add(std::string text) {
  const auto size = text.size();
  if (!texts_.insert(std::move(text)).second) return;
  const auto at = std::lower_bound(lengths_.begin(), lengths_.end(), size);
  if (at == lengths_.end() || *at != size) lengths_.insert(at, size);
}

bool Wanted::Spellings::covers(std::string_view text) const {
  if (!text.starts_with('/')) return false;
  // What was removed itself has "(deleted)" behind its own name.
  const auto bare = without_deleted(text);
  for (const std::size_t length : lengths_) {
    if (length > text.size()) break;
    const bool whole =
        length == 1 || length == text.size() || text[length] == '/' || length == bare.size();
    if (whole && texts_.contains(text.substr(0, length))) return true;
  }
  return false;
}

Wanted::Wanted(const MountTable& mounts, std::uint64_t space, const std::string& prefix) {
  own_ = mounts.covering(space, prefix);
  any_.add(prefix);
  by_space_[space].add(prefix);
  if (own_ != nullptr) {
    const auto rest = below(own_->point, prefix).value_or("");
    targets_.push_back({own_->device, join_paths(without_deleted_root(own_->root), rest), 0});
  }
  for (const Mount& mount : mounts.all()) {
    if (mount.space != space || !path_is_under(prefix, mount.point)) continue;
    const bool bound = is_bound_from_elsewhere(mounts, mount, prefix);
    if (!bound) mounted_below_.push_back(&mount);
    if (&mount == own_) continue;
    targets_.push_back(
        {mount.device, std::string(without_deleted_root(mount.root)), bound ? mount.id : 0});
  }
  add_overlays(mounts, prefix);
  spell(mounts);
}

void Wanted::add_overlays(const MountTable& mounts, const std::string& prefix) {
  for (const Mount& mount : mounts.all()) {
    if (mount.type != "overlay") continue;
    for (const std::string& layer : overlay_layers(mount.options)) {
      if (!layer.starts_with('/')) continue;
      if (path_is_under(prefix, layer)) {
        targets_.push_back({mount.device, "/", 0});
      } else if (const auto rest = below(layer, prefix)) {
        targets_.push_back({mount.device, join_paths("/", *rest), 0});
      }
    }
  }
}

void Wanted::spell(const MountTable& mounts) {
  for (const Target& target : targets_) devices_.insert(target.device);
  for (const Mount& mount : mounts.all()) {
    known_mounts_.insert(mount.id);
    if (!devices_.contains(mount.device)) continue;
    const auto root = without_deleted_root(mount.root);
    for (const Target& target : targets_) {
      if (target.device != mount.device) continue;
      if (target.only_mount != 0 && target.only_mount != mount.id) continue;
      std::string text;
      if (path_is_under(target.inside, root)) {
        text = mount.point;
      } else if (const auto rest = below(root, target.inside)) {
        text = join_paths(mount.point, *rest);
      } else {
        continue;
      }
      any_.add(text);
      by_space_[mount.space].add(text);
      by_mount_[mount.id].add(std::move(text));
    }
  }
}

bool Wanted::may_be(std::string_view text, std::uint64_t space) const {
  const auto at = by_space_.find(space);
  return at != by_space_.end() && at->second.covers(text);
}

bool Wanted::is(std::string_view text, std::uint64_t mount_id) const {
  const auto at = by_mount_.find(mount_id);
  if (at != by_mount_.end()) return at->second.covers(text);
  return !known_mounts_.contains(mount_id) && any_.covers(text);
}

std::vector<std::string> overlay_layers(std::string_view options) {
  std::vector<std::string> layers;
  const auto add_each = [&](std::string_view list) {
    std::string one;
    for (std::size_t at = 0; at <= list.size(); ++at) {
      if (at == list.size() || list[at] == ':') {
        if (!one.empty()) layers.push_back(std::exchange(one, {}));
      } else {
        if (list[at] == '\\' && at + 1 < list.size()) ++at;
        one += list[at];
      }
    }
  };
  while (!options.empty()) {
    // A comma of a path has a backslash before it.
    std::size_t end = 0;
    while (end < options.size() && options[end] != ',') end += options[end] == '\\' ? 2U : 1U;
    end = std::min(end, options.size());
    const auto option = options.substr(0, end);
    for (const std::string_view name :
         {"lowerdir=", "lowerdir+=", "datadir+=", "upperdir=", "workdir="}) {
      if (option.starts_with(name)) add_each(option.substr(name.size()));
    }
    options.remove_prefix(std::min(end + 1, options.size()));
  }
  return layers;
}

}  // namespace muster::os
