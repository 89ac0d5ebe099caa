// A daemon that prints each state of its connection, and why it is not registered.
#include <csignal>
#include <iostream>
#include <muster/backend.h>

int main() {
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  muster::BackendOptions options;
  options.key.service_name = "states";
  options.key.service_version = "1.0.0";
  muster::Backend backend(std::move(options));
  backend.on_state([](const muster::StateChange& change) {
    std::cout << (change.state == muster::ConnectionState::kRegistered ? "registered" : "waiting")
              << ' ' << change.reason << std::endl;
  });
  backend.on_quiesce([](muster::Request&) {});
  backend.start();
  int signal = 0;
  sigwait(&signals, &signal);
}
