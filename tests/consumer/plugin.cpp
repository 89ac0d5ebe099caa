// A plugin that is a Muster backend: a shared object, as a server loads it.
#include <iostream>
#include <memory>
#include <muster/backend.h>

namespace {

std::unique_ptr<muster::Backend> backend;

}  // namespace

extern "C" {

void plugin_load() {
  muster::BackendOptions options;
  options.key.service_name = "plugin";
  options.key.service_version = "1.0.0";
  backend = std::make_unique<muster::Backend>(std::move(options));
  backend->on_release_handles([](muster::Request& request) {
    std::cout << "released " << request.path_prefix() << std::endl;
  });
  backend->start();
}

void plugin_unload() { backend.reset(); }
}
