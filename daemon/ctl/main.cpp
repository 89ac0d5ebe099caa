#include "ctl/console.h"
#include "ctl/interrupt.h"
#include "ctl/program.h"
#include "os/inherited_state.h"

int main(int argc, char** argv) {
  muster::os::take_over_process(muster::os::ProgramKind::kCommand);
  muster::ctl::StandardConsole console;
  return muster::ctl::run({argv + 1, argv + argc}, console, muster::ctl::interrupted_by);
}
