// A program that knows nothing of Muster and loads a plugin: plugin_host PLUGIN
#include <csignal>
#include <dlfcn.h>
#include <iostream>

namespace {

using Entry = void (*)();

Entry find(void* plugin, const char* name) {
  return reinterpret_cast<Entry>(::dlsym(plugin, name));
}

}  // namespace

int main(int argc, char** argv) {
  sigset_t signals{};
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);

  void* plugin = argc == 2 ? ::dlopen(argv[1], RTLD_NOW | RTLD_LOCAL) : nullptr;
  const Entry load = plugin == nullptr ? nullptr : find(plugin, "plugin_load");
  const Entry unload = plugin == nullptr ? nullptr : find(plugin, "plugin_unload");
  if (load == nullptr || unload == nullptr) {
    std::cerr << (argc == 2 ? ::dlerror() : "usage: plugin_host PLUGIN") << std::endl;
    return 1;
  }
  load();
  std::cout << "loaded" << std::endl;
  int signal = 0;
  sigwait(&signals, &signal);
  unload();
  std::cout << "unloaded" << std::endl;
}
