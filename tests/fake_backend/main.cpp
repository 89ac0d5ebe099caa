// muster-fake-backend: a backend for tests that speaks the wire itself, so that it can misbehave.
#include <exception>
#include <iostream>

#include "fake_backend/backend_group.h"
#include "fake_backend/loop.h"
#include "fake_backend/options.h"
#include "os/process_setup.h"

int main(int argc, char** argv) {
  muster::os::take_over_process(muster::os::ProgramKind::kCommand);
  try {
    const muster::fake::ParsedOptions parsed = muster::fake::parse_options(argc, argv);
    if (parsed.exit) return parsed.status;
    muster::os::raise_descriptor_limit();  // --count may need more than a shell grants
    muster::fake::Loop loop;
    muster::fake::BackendGroup group(loop, parsed.options);
    group.start();
    return loop.run();
  } catch (const std::exception& error) {
    std::cerr << "muster-fake-backend: " << error.what() << '\n';
    return 1;
  }
}
