// dbus-broker as a subject: the broker, and an operator forked from the bench that asks and counts.
#include <array>
#include <chrono>
#include <poll.h>
#include <stdexcept>
#include <string>
#include <sys/socket.h>

#include "bench/forked_subject.h"
#include "bench/peers/dbus_controller.h"
#include "bench/peers/dbus_message.h"
#include "bench/peers/dbus_names.h"
#include "bench/peers/peers.h"
#include "bench/peers/protocols.h"
#include "bench/round_server.h"
#include "bench/unix_socket.h"

namespace muster::bench {
namespace {

class DbusOperator final : public RoundServer {
 public:
  explicit DbusOperator(const std::filesystem::path& socket) : fd_(connect_to(socket)) {
    DbusCall call;
    call.type = DbusType::kSignal;
    call.path = kDbusPath;
    call.interface = kDbusInterface;
    call.member = kOperationMember;
    call.signature = "ay";
    append_dbus_bytes(call.body, sample_operation_frame());
    signal_ = dbus_message(call);

    std::string name;
    append_dbus_string(name, kOperatorName);
    name.resize((name.size() + 3) / 4 * 4);
    append_dbus_u32(name, 0);
    send_all(fd_.get(), dbus_authentication() + dbus_bus_call(1, "Hello") +
                            dbus_bus_call(2, "RequestName", "su", std::move(name)));
    while (input_.find("\r\n") == std::string::npos) receive();
    input_.erase(0, input_.find("\r\n") + 2);
    count_until(DbusType::kMethodReturn, 2);
  }

  void idle(int control) override {
    pollfd readable{control, POLLIN, 0};
    ::poll(&readable, 1, -1);
  }

  // Each has its match in place before it says that it is registered.
  void expect_clients(std::size_t count) override { count_ = count; }

  std::size_t round(std::chrono::steady_clock::time_point& end) override {
    send_all(fd_.get(), signal_);
    count_until(DbusType::kMethodCall, count_);
    end = std::chrono::steady_clock::now();
    return 0;
  }

 private:
  void receive() {
    const ssize_t size = ::recv(fd_.get(), buffer_.data(), buffer_.size(), 0);
    if (size <= 0) throw std::runtime_error("dbus-broker ended the operator's connection");
    input_.append(buffer_.data(), static_cast<std::size_t>(size));
  }

  void count_until(DbusType type, std::size_t count) {
    for (std::size_t seen = 0;;) {
      std::size_t used = 0;
      for (;;) {
        const DbusHead head = see_dbus_message(std::string_view(input_).substr(used));
        if (head.bytes == 0 || head.bytes > input_.size() - used) break;
        if (head.type == DbusType::kError) throw std::runtime_error("dbus-broker sent an error");
        used += head.bytes;
        if (head.type == type) ++seen;
      }
      input_.erase(0, used);
      if (seen >= count) return;
      receive();
    }
  }

  os::UniqueFd fd_;
  std::string signal_;
  std::string input_;
  std::array<char, 65'536> buffer_{};
  std::size_t count_ = 0;
};

class DbusSubject final : public Subject {
 public:
  explicit DbusSubject(const std::filesystem::path& directory)
      : broker_(directory / "bus.sock", directory / "log"),
        operator_(
            directory / "bus.sock", [] { return std::make_unique<DbusProtocol>(); },
            [&](int control) {
              DbusOperator server(directory / "bus.sock");
              serve_rounds(control, server);
            }) {
    operator_.wait_for_clients(0);  // it has its name when it answers
  }

  pid_t pid() const override { return broker_.pid(); }
  std::filesystem::path socket() const override { return operator_.socket(); }
  std::unique_ptr<ClientProtocol> protocol() const override { return operator_.protocol(); }
  void wait_for_clients(std::size_t count) override { operator_.wait_for_clients(count); }
  void start_round() override { operator_.start_round(); }
  void take_acceptance() override { operator_.take_acceptance(); }
  RoundTimes take_times(std::size_t count) override { return operator_.take_times(count); }
  double operator_round(std::size_t count) override { return operator_.operator_round(count); }

 private:
  DbusBroker broker_;
  ForkedSubject operator_;
};

}  // namespace

SubjectSpec dbus_broker_subject() {
  SubjectSpec spec;
  spec.kind = SubjectSpec::Kind::kOther;
  spec.name = "dbus-broker";
  const std::string version = output_of({kDbusBroker, "--version"});
  spec.version = version.substr(version.rfind(' ') + 1);
  spec.start = [](const std::filesystem::path& directory) {
    return std::make_unique<DbusSubject>(directory);
  };
  return spec;
}

}  // namespace muster::bench
