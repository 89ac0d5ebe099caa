#include <csignal>

#include "ctl/console.h"
#include "ctl/interrupt.h"
#include "ctl/program.h"
#include "os/inherited_state.h"

int main(int argc, char** argv) {
  const auto streams = muster::ctl::reserve_standard_streams();
  muster::os::take_over_process(muster::os::ProgramKind::kCommand);
  std::signal(SIGPIPE, SIG_IGN);  // a reader that went away is told as lost output
  muster::ctl::StandardConsole console(streams);
  return muster::ctl::run({argv + 1, argv + argc}, console, muster::ctl::interrupted_by);
}
