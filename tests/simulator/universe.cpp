#include "simulator/universe.h"

#include <array>
#include <map>
#include <string>

namespace muster::simulator {
namespace {

constexpr std::uint32_t kSharedKeys = 16;  // keys from here on have a mark
// Marks, as numbers: a pid is itself.
constexpr std::uint32_t kInodeMarks = 1'000'000;
constexpr std::uint32_t kNumberMarks = 2'000'000;
constexpr std::uint32_t kUserMarks = 3'000'000;

std::string mark_text(std::uint32_t mark) {
  if (mark >= kUserMarks) return "~u" + std::to_string(mark - kUserMarks);
  if (mark >= kNumberMarks) return "~n" + std::to_string(mark - kNumberMarks);
  if (mark >= kInodeMarks) return "~i" + std::to_string(mark - kInodeMarks);
  return '~' + std::to_string(mark);
}

// The inverse, without the tilde.
std::uint32_t mark_of(const std::string& text) {
  if (text.front() == 'u')
    return kUserMarks + static_cast<std::uint32_t>(std::stoul(text.substr(1)));
  if (text.front() == 'n')
    return kNumberMarks + static_cast<std::uint32_t>(std::stoul(text.substr(1)));
  if (text.front() == 'i')
    return kInodeMarks + static_cast<std::uint32_t>(std::stoul(text.substr(1)));
  return static_cast<std::uint32_t>(std::stoul(text));
}
constexpr gid_t kStaff = 50;  // of the third user

template <class Table>
const auto& entry(const Table& table, std::int64_t index) {
  return table[static_cast<std::size_t>(index) % table.size()];
}

Selector selector(const char* text) { return Selector::parse(text).selector; }

OperationChoice release(std::string path, std::string normal) {
  return {BroadcastOperation::release_handles(std::move(path)),
          BroadcastOperation::release_handles(std::move(normal))};
}

OperationChoice preflight(std::string path, std::string normal) {
  return {BroadcastOperation::preflight(ReleaseHandles{std::move(path), {}}),
          BroadcastOperation::preflight(ReleaseHandles{std::move(normal), {}})};
}

OperationChoice refused(std::string path) {
  return {BroadcastOperation::release_handles(std::move(path)), std::nullopt};
}

}  // namespace

const BackendKey& key_of(std::int64_t key) {
  static const std::array<BackendKey, kKeys> kTable = {{
      {Instance::shared(), "alpha", "1.0.0", ""},
      {Instance::shared(), "alpha", "1.1.0", ""},
      {Instance::shared(), "alpha", "1.0.0", "two"},
      {Instance::shared(), "beta", "1.0.0", ""},
      {Instance::private_to("alpha"), "beta", "1.0.0", ""},
      {Instance::explicitly("X"), "gamma", "2.0.0-rc.1", ""},
      {Instance::shared(), "delta", "0.1.0", "a"},
      {Instance::shared(), "delta", "0.1.0", "b"},
  }};
  if (key < kSharedKeys) return entry(kTable, key);
  static std::map<std::int64_t, BackendKey> shared;
  const auto [place, is_new] = shared.try_emplace(key, entry(kTable, key % kSharedKeys));
  if (is_new) place->second.replica += mark_text(static_cast<std::uint32_t>(key / kSharedKeys));
  return place->second;
}

std::uint32_t shared_key(std::uint32_t key, const core::ProcessId& process) {
  const auto mark = process.pid != 0 ? static_cast<std::uint32_t>(process.pid)
                                     : kInodeMarks + static_cast<std::uint32_t>(process.unique);
  return key + kSharedKeys * mark;
}

std::uint32_t numbered_key(std::uint32_t key, std::uint64_t number) {
  return key + kSharedKeys * (kNumberMarks + static_cast<std::uint32_t>(number));
}

std::uint32_t user_key(std::uint32_t key, uid_t uid) {
  return key + kSharedKeys * (kUserMarks + uid);
}

std::uint32_t own_key(std::uint32_t key) { return key % kSharedKeys; }

std::uint32_t index_of(const BackendKey& key) {
  if (key.service_name.empty()) return kKeys;
  if (const auto tilde = key.replica.find('~'); tilde != std::string::npos) {
    BackendKey own = key;
    own.replica.resize(tilde);
    return index_of(own) + kSharedKeys * mark_of(key.replica.substr(tilde + 1));
  }
  for (std::uint32_t i = 0; i < kKeys; ++i) {
    const auto& known = key_of(i);
    // Most differ here, and this is called a lot.
    if (known.service_name.front() == key.service_name.front() && known == key) return i;
  }
  return kKeys;
}

const Selection& selection_of(std::int64_t selection) {
  static const std::array<Selection, kSelections> kTable = {{
      {},
      {selector("service=alpha")},
      {selector("version=1.*")},
      {selector("instance=private:*")},
      {selector("label.tier=hot")},
      {selector("service=delta,replica=b"), selector("service=gamma")},
      {selector("service=nobody")},
      {selector("service=alpha,label.tier=h?t")},
  }};
  return entry(kTable, selection);
}

bool selected(std::int64_t selection, std::uint32_t key, bool hot) {
  switch (static_cast<std::size_t>(selection) % kSelections) {
    case 0:
      return true;
    case 1:
      return key <= 2;
    case 2:
      return key <= 4;
    case 3:
      return key == 4;
    case 4:
      return hot;
    case 5:
      return key == 7 || key == 5;
    case 7:
      return key <= 2 && hot;
    default:
      return false;
  }
}

const OperationChoice& operation_of(std::int64_t operation) {
  static const auto kQuiesce = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  static const std::array<OperationChoice, kOperations> kTable = {{
      release("/var/cache/x", "/var/cache/x"),
      release("//var/./cache//y/../x/", "/var/cache/x"),
      release("/..", "/"),
      release("/mnt/a", "/mnt/a"),
      {kQuiesce, kQuiesce},
      refused(""),
      refused("var/cache"),
      refused(std::string("/a\0b", 4)),
      release('/' + std::string(4000, 'p'), '/' + std::string(4000, 'p')),
      preflight("/var/cache/x", "/var/cache/x"),
      preflight("//var/cache/./x/", "/var/cache/x"),
      {BroadcastOperation::preflight(Quiesce{}), BroadcastOperation::preflight(Quiesce{})},
      {BroadcastOperation::preflight(ReleaseHandles{"var/cache", {}}), std::nullopt},
  }};
  return entry(kTable, operation);
}

std::vector<Holder> holders_of(std::int64_t who) {
  std::vector<Holder> all;
  for (std::uint32_t i = 0; i < kHolders; ++i) {
    const auto bit = std::int64_t{1} << i;
    if ((who & bit) == 0) continue;
    Holder& holder = all.emplace_back();
    // The second has the pid of the first, and is another process; two are the kernel's.
    const bool is_kernels = i >= kHolders - 2;
    if (!is_kernels) holder.pid = i == 1 ? 700 : static_cast<pid_t>(700 + i);
    if (!is_kernels) holder.started = 50 + i;
    if (is_kernels) holder.object = "/dev/loop" + std::to_string(i);
    holder.command = "holder";
    holder.example = "/var/cache/x/a-file-with-a-long-name-" + std::to_string(i);
    holder.possibly = (who & (kPossibly * bit)) != 0;
    // Others than those for which a lease fails.
    holder.held = {{i % 2 == 0 ? HeldBy::kWorkingDirectory : HeldBy::kDescriptor, 1 + i}};
  }
  for (std::uint32_t i = 0; (who & kCrowd) != 0 && i < kCrowdSize; ++i) {
    Holder& holder = all.emplace_back();
    holder.pid = static_cast<pid_t>(2000 + i);
    holder.held = {{HeldBy::kDescriptor, 1}};
  }
  return all;
}

const std::string& operation_key_of(std::int64_t key) {
  static const std::array<std::string, kOperationKeys> kTable = {
      "", "nightly", "upgrade-7", std::string(kMaxOperationKeyBytes + 1, 'k')};
  return entry(kTable, key);
}

uid_t uid_of(std::int64_t user) {
  user %= kUsers;
  return user == 2 ? 0 : kFirstUid + static_cast<uid_t>(user);
}

std::vector<gid_t> groups_of(std::int64_t process) {
  if (process % 8 != 6) return {};
  return {kGuests};
}

core::Peer peer_of(std::int64_t process, bool exited) {
  const auto number = static_cast<std::uint64_t>(process);
  core::Peer peer;
  const bool third = number % 8 == 6;
  peer.uid = uid_of(third ? 2 : number % 4 == 3 ? 1 : 0);
  peer.gid = third ? kStaff : peer.uid;
  switch (number % 22) {
    case 10:  // in another pid namespace, with a pidfd
      if (!exited) peer.process.unique = 5000 + number;
      break;
    case 8:  // the same, on a kernel without that
      break;
    default:
      peer.process.pid = static_cast<pid_t>(100 + number / 2);
      peer.process.unique = exited && number % 2 == 0 ? 0 : 5000 + number;
  }
  return peer;
}

}  // namespace muster::simulator
