#include <unistd.h>

#include "musterctl/console.h"
#include "musterctl/program.h"
#include "musterctl/user_names.h"
#include "os/process_setup.h"

int main(int argc, char** argv) {
  const auto streams = muster::ctl::reserve_standard_streams();
  muster::os::take_over_process(muster::os::ProgramKind::kCommand);
  muster::ctl::ignore_lost_readers();  // the console reports lost output
  muster::ctl::StandardConsole console(streams);
  const int status =
      muster::ctl::run({argv + 1, argv + argc}, console, muster::ctl::interrupted_by);
  // Nothing is buffered. A thread in the name service must not see destructors run.
  if (muster::ctl::names_are_pending()) ::_exit(status);
  return status;
}
