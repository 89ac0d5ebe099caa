#include "fake_backend/output.h"

#include <algorithm>
#include <cerrno>
#include <unistd.h>

#include "muster/text.h"

namespace muster::fake {
namespace {

// Nobody reads: not this program's problem.
void write_all(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(STDOUT_FILENO, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
}

}  // namespace

void Output::line(std::string_view prefix, std::string_view text) {
  if (quiet_) return;
  std::string whole(prefix);
  whole += escape_controls(text);
  whole += '\n';
  write_all(whole);
}

void Output::ready(std::size_t count) { write_all("ready " + std::to_string(count) + "\n"); }

std::string describe(const BroadcastOperation& operation) {
  if (const Quiesce* quiesce = operation.as_quiesce()) {
    return "quiesce " + std::string(to_string(quiesce->reason));
  }
  return operation.to_string();
}

std::string describe(const ActiveHold& hold) {
  std::string text = std::to_string(hold.id);
  if (!hold.path_prefix.empty()) text += " " + escape_bytes(hold.path_prefix);
  return text;
}

std::string describe(RefusalCode code) {
  std::string word(to_string(code));
  std::replace(word.begin(), word.end(), ' ', '-');
  return word;
}

}  // namespace muster::fake
