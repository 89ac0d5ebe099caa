#include "ctl/console.h"
#include "ctl/interrupt.h"
#include "ctl/program.h"

int main(int argc, char** argv) {
  muster::ctl::StandardConsole console;
  return muster::ctl::run({argv + 1, argv + argc}, console, muster::ctl::interrupted_by);
}
