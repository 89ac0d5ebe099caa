#include "musterctl/holders_text.h"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string_view>
#include <vector>

#include "muster/text.h"

namespace muster::ctl {
namespace {

constexpr std::size_t kMostNamed = 3;  // of processes that could not be looked at, for each reason

// `bytes` as one word of a shell.
std::string shell_word(const std::string& bytes) {
  constexpr std::string_view kHarmless =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+:@%,=";
  std::string text = escape_controls(bytes);
  if (!text.empty() && text.find_first_not_of(kHarmless) == std::string::npos) return text;
  std::string word = "'";
  for (const char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + '\'';
}

std::string in_its_namespace(const Holder& holder, const std::string& command) {
  if (holder.inside == 0) return command;
  return "nsenter -t " + std::to_string(holder.inside) + " -m " + command;
}

bool holds_only(const Holder& holder, HeldBy kind) {
  return std::all_of(holder.held.begin(), holder.held.end(),
                     [&](const Held& one) { return one.kind == kind; });
}

std::string what_ends_process(const Holder& holder, const std::string& path) {
  std::string kill = "kill " + std::to_string(holder.pid);
  if (holder.backend) return "musterctl release-handles " + shell_word(path);
  if (holder.unit.starts_with("container ")) return "stop " + escape_bytes(holder.unit);
  if (holder.unit.ends_with(".service")) {
    const std::string manager =
        holder.unit_user ? "--user -M " + std::to_string(*holder.unit_user) + "@ " : "";
    return "systemctl " + manager + "stop " + shell_word(holder.unit);
  }
  if (holds_only(holder, HeldBy::kWorkingDirectory)) {
    return "cd to another directory there, or " + kill;
  }
  return kill;
}

std::string plural(std::string_view kind, std::uint64_t count) {
  if (count == 1 || kind == "in flight") return std::string(kind);
  return std::string(kind) + (kind.ends_with("directory") ? "" : "s");
}

std::string what_is_held(const Holder& holder) {
  std::string text = holder.possibly ? "possibly " : "";
  for (const Held& one : holder.held) {
    if (&one != &holder.held.front()) text += ", ";
    text += std::to_string(one.count) + ' ' + plural(to_string(one.kind), one.count);
  }
  return text;
}

std::string or_dash(const std::string& text) { return text.empty() ? "-" : text; }

std::string shown_example(const Holder& holder) {
  if (holder.example.empty()) return "-";
  return quote_if_needed(holder.example) + (holder.deleted ? " (deleted)" : "");
}

std::string shown_unit(const Holder& holder) {
  std::string text = escape_bytes(holder.unit);
  if (holder.unit_user) text += " of uid " + std::to_string(*holder.unit_user);
  return or_dash(text);
}

std::vector<std::string> row_of(const Holder& holder, const std::string& path,
                                const HoldersStyle& style) {
  if (holder.pid == 0) {
    return {"-",
            "-",
            "kernel",
            "-",
            "-",
            what_is_held(holder) + ' ' + quote_if_needed(holder.object),
            shown_example(holder),
            what_ends(holder, path)};
  }
  return {std::to_string(holder.pid),
          shown_user(holder.uid, style.user),
          quote_if_needed(holder.command),
          shown_unit(holder),
          holder.backend ? shown(*holder.backend) : "-",
          what_is_held(holder),
          shown_example(holder),
          what_ends(holder, path)};
}

std::string table_of(const HolderScan& scan, const HoldersStyle& style) {
  std::vector<std::vector<std::string>> rows{
      {"PID", "USER", "COMMAND", "UNIT", "BACKEND", "HOLDS", "EXAMPLE", "TO END IT"}};
  for (const Holder& one : scan.holders) rows.push_back(row_of(one, scan.prefix, style));
  if (scan.held_by_unknown()) {
    rows.push_back({"-", "-", "unknown", "-", "-", counted(scan.leases.busy, "open file"),
                    quote_if_needed(scan.leases.busy_example), "run it as root"});
  }
  if (rows.size() == 1) return {};
  const std::vector<std::string> lines = table_lines(rows);
  std::string text = style.paint.bold(lines[0]) + '\n';
  for (std::size_t i = 1; i < lines.size(); ++i) text += lines[i] + '\n';
  if (scan.more_holders > 0) text += "and " + std::to_string(scan.more_holders) + " more\n";
  return text;
}

// One line for each reason.
std::string unseen_of(const HolderScan& scan) {
  struct Group {
    std::uint64_t count = 0;
    std::string names;
  };
  std::string text;
  std::map<std::string, Group> groups;
  for (const Unseen& one : scan.unseen) {
    if (one.pid == 0) {
      text += "not seen: " + escape_controls(one.what) + '\n';
      continue;
    }
    Group& group = groups[one.what];
    if (++group.count > kMostNamed) continue;
    if (!group.names.empty()) group.names += ", ";
    group.names += std::to_string(one.pid) + ' ' + quote_if_needed(one.command);
  }
  for (const auto& [what, group] : groups) {
    text +=
        "not seen: of " +
        (group.count == 1 ? std::string("1 process") : std::to_string(group.count) + " processes") +
        " (pid " + group.names + (group.count > kMostNamed ? ", ..." : "") + ") " +
        escape_controls(what) + '\n';
  }
  if (scan.more_unseen > 0) {
    text += "not seen: " + std::to_string(scan.more_unseen) + " more\n";
  }
  return text;
}

std::string answer_of(const HolderScan& scan) {
  const std::string path = quote_if_needed(scan.prefix);
  switch (scan.verdict) {
    case HolderVerdict::kClear:
      return "Clear: nobody has a file below " + path + " in use";
    case HolderVerdict::kHeld: {
      const std::uint64_t holders = sure_holders(scan);
      return "Held: " + counted(holders, "holder") + (holders == 1 ? " has" : " have") +
             " files below " + path + " in use";
    }
    case HolderVerdict::kUnknown:
      break;
  }
  if (scan.holders.empty()) {
    return "Unknown: nobody was found who has a file below " + path +
           " in use, but not everything could be seen";
  }
  return "Unknown: it cannot be told whether what was found is below " + path;
}

}  // namespace

// What the kernel says of the files themselves.
std::string shown_leases(const LeaseResult& leases, std::string_view proven) {
  std::string text;
  if (leases.files > 0) {
    text = std::to_string(leases.proven) + " of " + counted(leases.files, "file") + ' ' +
           std::string(proven);
  }
  const auto add = [&](const std::string& more) { text += (text.empty() ? "" : "; ") + more; };
  if (leases.busy > 0) {
    add(std::to_string(leases.busy) + (leases.busy == 1 ? " is" : " are") + " open, as " +
        quote_if_needed(leases.busy_example));
  }
  if (leases.refused > 0) {
    add(std::to_string(leases.refused) +
        " could not be asked: " + escape_controls(leases.refused_why));
  }
  if (!leases.complete) add(escape_controls(leases.incomplete_why));
  return text;
}

std::uint64_t sure_holders(const HolderScan& scan) {
  const auto sure = static_cast<std::uint64_t>(std::count_if(
      scan.holders.begin(), scan.holders.end(), [](const Holder& one) { return !one.possibly; }));
  return sure + scan.more_holders + (scan.held_by_unknown() ? 1U : 0U);
}

std::string show_holder_rows(const HolderScan& scan, const HoldersStyle& style) {
  return table_of(scan, style) + unseen_of(scan);
}

std::string what_ends(const Holder& holder, const std::string& path) {
  if (holder.pid != 0) return what_ends_process(holder, path);
  const std::string object = shell_word(holder.object);
  for (const Held& one : holder.held) {
    switch (one.kind) {
      case HeldBy::kLoopDevice:
        return "losetup -d " + object;
      case HeldBy::kSwapFile:
        return "swapoff " + object;
      case HeldBy::kOverlayLayer:
      case HeldBy::kMount:
        return in_its_namespace(holder, "umount " + object);
      case HeldBy::kNfsExport:
        return "remove " + object + " from /etc/exports, then exportfs -r";
      case HeldBy::kDescriptor:
      case HeldBy::kPathDescriptor:
      case HeldBy::kMapping:
      case HeldBy::kExecutable:
      case HeldBy::kWorkingDirectory:
      case HeldBy::kRootDirectory:
      case HeldBy::kRingFile:
      case HeldBy::kBoundSocket:
      case HeldBy::kInFlight:
        break;
    }
  }
  return "-";
}

std::string show_holders(const HolderScan& scan, const HoldersStyle& style) {
  if (!scan.problem.empty()) {
    return style.paint.warning("Unknown: " + escape_controls(scan.problem)) + '\n';
  }
  const std::string text = show_holder_rows(scan, style);
  std::string answer = answer_of(scan);
  if (const auto leases = shown_leases(scan.leases, "proven free"); !leases.empty()) {
    answer += " (" + leases + ')';
  }
  answer += '.';
  switch (scan.verdict) {
    case HolderVerdict::kClear:
      return text + style.paint.good(answer) + '\n';
    case HolderVerdict::kHeld:
      return text + style.paint.error(answer) + '\n';
    case HolderVerdict::kUnknown:
      break;
  }
  return text + style.paint.warning(answer) + '\n';
}

}  // namespace muster::ctl
