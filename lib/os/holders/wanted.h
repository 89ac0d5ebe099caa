// What a scan looks for: a path and every mount below it, and how both are spelled in each mount
// namespace.
//
// Made once for a scan, then only read.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "os/holders/mount_table.h"

namespace muster::os {

// The text of a link to a file without a name ends with " (deleted)".
[[nodiscard]] std::string_view without_deleted(std::string_view text);

class Wanted {
 public:
  // `space`: the mount namespace that `prefix` is a path of.
  Wanted(const MountTable& mounts, std::uint64_t space, const std::string& prefix);

  // Whether a file of that name can be meant at all, in some namespace: what does not start like
  // this needs no second look.
  [[nodiscard]] bool may_be(std::string_view text) const { return any_.covers(text); }
  // The same in one namespace.
  [[nodiscard]] bool may_be(std::string_view text, std::uint64_t space) const;
  // Whether it is meant, when it was opened through that mount. A mount that is in no table (it
  // was taken away while the file was open) is taken for one that is.
  [[nodiscard]] bool is(std::string_view text, std::uint64_t mount_id) const;
  [[nodiscard]] bool knows_mount(std::uint64_t id) const { return known_mounts_.contains(id); }
  // Whether files of that superblock are meant, wholly or in part.
  [[nodiscard]] bool has_device(std::uint64_t device) const { return devices_.contains(device); }

  // Where the prefix lies; nullptr: on no mount that can be seen (a changed root).
  [[nodiscard]] const Mount* own() const { return own_; }
  // The mounts at and below the prefix whose superblock is nowhere else in this namespace: they
  // would go with the path.
  [[nodiscard]] const std::vector<const Mount*>& mounted_below() const { return mounted_below_; }

 private:
  class Spellings {
   public:
    void add(std::string text);
    [[nodiscard]] bool covers(std::string_view text) const;

   private:
    struct Hash {
      using is_transparent = void;
      std::size_t operator()(std::string_view text) const noexcept {
        return std::hash<std::string_view>{}(text);
      }
    };
    std::unordered_set<std::string, Hash, std::equal_to<>> texts_;
    std::vector<std::size_t> lengths_;
  };
  struct Target {
    std::uint64_t device = 0;
    std::string inside;  // which part of the superblock
    // 0: through whichever mount. Else only that mount counts: what is bound from elsewhere to a
    // place below the path is not below it under its other names.
    std::uint64_t only_mount = 0;
  };

  void add_overlays(const MountTable& mounts, const std::string& prefix);
  void spell(const MountTable& mounts);

  const Mount* own_ = nullptr;
  std::vector<const Mount*> mounted_below_;
  std::vector<Target> targets_;
  std::unordered_set<std::uint64_t> devices_;
  std::unordered_set<std::uint64_t> known_mounts_;
  Spellings any_;
  std::unordered_map<std::uint64_t, Spellings> by_space_;
  std::unordered_map<std::uint64_t, Spellings> by_mount_;
};

// The directories that an overlay's options name: lower, upper and work, as they stand there.
[[nodiscard]] std::vector<std::string> overlay_layers(std::string_view options);

}  // namespace muster::os
