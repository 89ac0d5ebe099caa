// A tool that wants the model only: no socket, no Asio, no Protobuf.
#include <iostream>
#include <muster/lifecycle_broadcast_model.h>

int main() {
  muster::LifecycleBroadcastModel model;
  muster::BackendKey key;
  key.service_name = "zccache";
  key.service_version = "1.4.2";
  model.register_backend(muster::BroadcastBackend::live(key));
  std::cout << muster::to_string(model.release_handles_under_path("/cache")) << std::endl;
}
