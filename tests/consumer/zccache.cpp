// A whole daemon that is a Muster backend. Its main() is the first one of docs/SDK.md.
#include <csignal>
#include <iostream>
#include <muster/backend.h>
#include <string_view>

namespace {

// Stands for what the daemon has open.
struct Cache {
  void close_files_below(std::string_view prefix) {
    std::cout << "closed what was below " << prefix << std::endl;
  }
};

// Stands for what the daemon does all day: here it waits for SIGTERM.
struct Server {
  Server() {
    sigemptyset(&signals);
    sigaddset(&signals, SIGTERM);
    sigaddset(&signals, SIGINT);
    pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  }
  void drain() { std::cout << "drained" << std::endl; }
  void resume() { std::cout << "resumed" << std::endl; }
  void run() {
    std::cout << "running" << std::endl;
    int signal = 0;
    sigwait(&signals, &signal);
    std::cout << "ended by signal " << signal << std::endl;
  }

  sigset_t signals{};
};

Cache cache;
Server server;

}  // namespace

int main() {
  muster::BackendOptions options;
  options.key.service_name = "zccache";
  options.key.service_version = "1.4.2";
  muster::Backend backend(std::move(options));
  backend.on_release_handles([&](muster::Request& request) {
    cache.close_files_below(request.path_prefix());  // returning acknowledges
  });
  backend.on_quiesce([&](muster::Request&) { server.drain(); });
  backend.on_hold_ended([&](const muster::HoldEnded&) {
    if (!backend.is_quiesced()) server.resume();
  });
  backend.start();
  server.run();
}
