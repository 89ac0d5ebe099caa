#include <atomic>
#include <chrono>
#include <nng/nng.h>
#include <nng/protocol/survey0/survey.h>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/eventfd.h>

#include "bench/forked_subject.h"
#include "bench/frames.h"
#include "bench/peers/peers.h"
#include "bench/peers/protocols.h"
#include "bench/round_server.h"

namespace muster::bench {
namespace {

// When no answer has come for so long, the rest of them is lost.
nng_duration patience_ms(std::size_t clients) {
  return 50 + static_cast<nng_duration>(clients / 50);
}

void check_nng(int result, const char* what) {
  if (result != 0) throw std::runtime_error(std::string(what) + ": " + nng_strerror(result));
}

class NngServer final : public RoundServer {
 public:
  explicit NngServer(const std::filesystem::path& path) : changed_(eventfd(0, EFD_CLOEXEC)) {
    check_nng(nng_surveyor0_open(&socket_), "nng_surveyor0_open");
    check_nng(nng_pipe_notify(socket_, NNG_PIPE_EV_ADD_POST, came, this), "nng_pipe_notify");
    check_nng(nng_listen(socket_, ("ipc://" + path.native()).c_str(), nullptr, 0), "nng_listen");
  }

  // Clients are taken care of by threads of the library.
  void idle(int control) override {
    pollfd readable{control, POLLIN, 0};
    ::poll(&readable, 1, -1);
  }

  void expect_clients(std::size_t count) override {
    count_ = count;
    check_nng(nng_socket_set_ms(socket_, NNG_OPT_RECVTIMEO, patience_ms(count)), "receive timeout");
    eventfd_t ignored = 0;
    while (clients_.load() < count) eventfd_read(changed_.get(), &ignored);
  }

  std::size_t round(std::chrono::steady_clock::time_point& end) override {
    nng_msg* survey = nullptr;
    check_nng(nng_msg_alloc(&survey, 0), "nng_msg_alloc");
    check_nng(nng_msg_append(survey, operation_.data(), operation_.size()), "nng_msg_append");
    check_nng(nng_sendmsg(socket_, survey, 0), "nng_sendmsg");
    for (std::size_t missing = count_; missing > 0; --missing) {
      nng_msg* answer = nullptr;
      const int result = nng_recvmsg(socket_, &answer, 0);
      if (result == NNG_ETIMEDOUT) {
        if (missing == count_) end = std::chrono::steady_clock::now();  // nobody was heard
        return missing;
      }
      check_nng(result, "nng_recvmsg");
      nng_msg_free(answer);
      end = std::chrono::steady_clock::now();
    }
    return 0;
  }

 private:
  // On a thread of the library.
  static void came(nng_pipe, nng_pipe_ev, void* server) {
    auto* const self = static_cast<NngServer*>(server);
    ++self->clients_;
    eventfd_write(self->changed_.get(), 1);
  }

  const std::string operation_ = sample_operation_frame();
  nng_socket socket_{};
  os::UniqueFd changed_;
  std::atomic<std::size_t> clients_{0};
  std::size_t count_ = 0;
};

}  // namespace

SubjectSpec nng_subject() {
  SubjectSpec spec;
  spec.kind = SubjectSpec::Kind::kOther;
  spec.name = "nng";
  spec.version = nng_version();
  spec.start = [](const std::filesystem::path& directory) {
    const std::filesystem::path path = directory / "surveyor.sock";
    auto subject = std::make_unique<ForkedSubject>(
        path, [] { return std::make_unique<SpProtocol>(); },
        [&](int control) {
          NngServer server(path);
          serve_rounds(control, server);
        });
    subject->wait_for_clients(0);  // it listens when it answers
    return subject;
  };
  return spec;
}

}  // namespace muster::bench
