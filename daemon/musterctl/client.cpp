#include "musterctl/client.h"

namespace muster::ctl {

ControlClient make_client(const Invocation& to, bool prints, std::chrono::milliseconds patience) {
  ControlClient client(to.common.socket_dir, patience);
  if (prints) {
    client.while_waiting([&console = to.console] { return !console.out_reader_gone(); });
  }
  return client;
}

}  // namespace muster::ctl
