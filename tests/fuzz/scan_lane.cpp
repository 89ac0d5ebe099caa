// What muster-scan makes of a question, the broker of its answer, and both of texts of the kernel
// in which others chose names.
//
// Input: which of these, then its bytes.
#include <sstream>
#include <string>
#include <string_view>

#include "muster/json.h"

#include "fuzz/input.h"
#include "fuzz/shown.h"
#include "fuzz/targets.h"
#include "musterctl/holders_text.h"
#include "os/holders/bound_sockets.h"
#include "os/holders/kernel_scan.h"
#include "os/holders/mount_table.h"
#include "os/holders/proc_text.h"
#include "os/holders/wanted.h"
#include "wire/holders.h"

namespace muster::fuzz {
namespace {

void question(std::string_view body) {
  wire::ScanRequest asked;
  if (!wire::decode_scan(body, asked).empty()) return;
  must(asked.path.starts_with('/'), "a question that is taken has an absolute path");
  wire::ScanRequest again;
  must(wire::decode_scan(wire::encode_scan(asked), again).empty() && again == asked,
       "a question that is taken is the same when it is asked again");
}

void answer(std::string_view body) {
  HolderScan scan;
  if (!wire::decode_scan(body, scan).empty()) return;
  must(scan.verdict != HolderVerdict::kClear || (scan.holders.empty() && scan.unseen.empty()),
       "nothing is clear that somebody holds, or that was not seen");
  must_be_fit_to_show(to_json(scan));
  ctl::HoldersStyle style;
  style.user = [](uid_t /*uid*/) { return std::string(); };
  std::istringstream lines(ctl::show_holders(scan, style));
  for (std::string line; std::getline(lines, line);) must_be_fit_to_show(line);
}

void kernel_texts(std::string_view text) {
  os::MountTable mounts;
  mounts.add(text, 1, "/", 1);
  const os::Wanted wanted(mounts, 1, "/cache");
  os::BoundSockets sockets;
  sockets.add(text, wanted);
  static_cast<void>(os::ring_files(text));
  static_cast<void>(os::unit_of(text));
  static_cast<void>(os::command_of(text));
  static_cast<void>(os::swap_files(text));
  static_cast<void>(os::nfs_exports(text));
  static_cast<void>(os::overlay_layers(text));
  must(os::decode_octal(text).size() <= text.size(), "an escape stands for one byte");
}

}  // namespace

void scan_lane(std::string_view bytes) {
  Input input(bytes);
  const auto which = input.choose(3);
  const std::string_view rest = input.rest();
  if (which == 0) return question(rest);
  if (which == 1) return answer(rest);
  kernel_texts(rest);
}

}  // namespace muster::fuzz
