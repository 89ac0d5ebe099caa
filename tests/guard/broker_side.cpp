#include "guard/broker_side.h"

#include <algorithm>
#include <chrono>
#include <malloc.h>
#include <optional>
#include <stdexcept>
#include <system_error>
#include <variant>

#include <asio/io_context.hpp>

#include "broker/broker_server.h"
#include "guard/turns.h"
#include "os/listener.h"
#include "os/process_setup.h"
#include "support/allocations.h"
#include "wire/control_lane.h"

namespace muster::guard {
namespace {

// Looks at nothing one by one, as a broker whose operators only wait for results.
struct Sink final : broker::EventSink {
  void on_event(const Event& event) override {
    registered += event.kind == Event::Kind::kBackendRegistered ? 1U : 0U;
    if (event.kind != Event::Kind::kBroadcastFinished) return;
    ++finished;
    all_acked = all_acked && event.acks == event.targets;
  }
  [[nodiscard]] bool wants_every_outcome() const noexcept override { return false; }
  void on_scan(const core::ScanOrder& /*order*/) override {}
  void on_trouble(std::string_view sentence, std::optional<uid_t> /*user*/) noexcept override {
    trouble = sentence;
  }

  std::uint32_t registered = 0;
  std::uint32_t finished = 0;
  bool all_acked = true;
  std::string trouble;
};

class Rounds {
 public:
  Rounds(int turns, const Work& work) : turns_(turns), work_(work) {
    try {
      server_.emplace(context_, options(), sink_);
    } catch (const std::system_error& error) {
      throw NotHere("the transport " + work.transport + ": " + error.what());
    }
  }

  void listen(const std::filesystem::path& socket) {
    auto listening = os::listen_unix(socket, 0600);
    if (!listening.problem.empty()) throw std::runtime_error(listening.problem);
    server_->listen(std::move(listening.socket));
  }

  void register_backends() {
    constexpr std::uint32_t kAtOnce = 128;
    while (sink_.registered < work_.backends) {
      const std::uint32_t count = std::min(kAtOnce, work_.backends - sink_.registered);
      const std::uint32_t wanted = sink_.registered + count;
      let_peers({Turn::What::kConnect, count});
      run_until([&] { return sink_.registered >= wanted; });
      send_all();
      let_peers({Turn::What::kAnswer, 0});
    }
  }

  void round() {
    const std::uint32_t wanted = sink_.finished + work_.in_flight;
    for (std::uint32_t i = 0; i < work_.in_flight; ++i) {
      BroadcastRequest request;
      request.operation = BroadcastOperation::release_handles("/var/cache/objects");
      request.ack_timeout = std::chrono::hours(1);
      const auto started = server_->core().start_broadcast(std::move(request), server_->now());
      if (const auto* error = std::get_if<ControlError>(&started)) {
        throw std::runtime_error(error->message);
      }
    }
    send_all();
    let_peers({Turn::What::kAnswer, work_.in_flight});
    run_until([&] { return sink_.finished >= wanted; });
    if (!sink_.all_acked) throw std::runtime_error("a backend did not ack");
  }

  // As the control plane does when a broadcast has ended.
  void write_report() {
    const auto report = server_->core().report(last_id_, server_->now());
    const auto& rows = std::get<core::BroadcastRows>(report);
    written_ += wire::encode(1, rows, report_keys_).size();
    if (written_ == 0) throw std::runtime_error("a report has no bytes");
  }

 private:
  broker::ServerOptions options() {
    broker::ServerOptions options;
    options.transport = work_.transport;
    options.core.max_ack_timeout = std::chrono::hours(2);
    options.core.register_timeout = std::chrono::hours(1);
    // Few, so that a handful of rounds is enough to be warm.
    options.core.max_reports = work_.in_flight;
    options.next_broadcast_id = [this] { return ++last_id_; };
    return options;
  }

  // To very many it sends a part in each turn.
  void send_all() {
    while (server_->waiting_sends() != 0) context_.run_one();
  }

  void let_peers(Turn turn) const {
    give_turn(turns_, turn);
    if (!await_turn(turns_, turn)) throw std::runtime_error("the peers are gone");
  }

  template <class Condition>
  void run_until(Condition&& condition) {
    constexpr std::chrono::seconds kPatience{60};
    while (!condition()) {
      if (context_.run_one_for(kPatience) == 0) throw std::runtime_error("nothing happens");
      if (!sink_.trouble.empty()) throw std::runtime_error(sink_.trouble);
    }
  }

  const int turns_;
  const Work& work_;
  Sink sink_;
  std::size_t written_ = 0;
  wire::ReportKeys report_keys_;
  BroadcastId last_id_ = 1'000'000;  // as long on the wire as that of a broker with a past
  asio::io_context context_{1};
  std::optional<broker::BrokerServer> server_;
};

}  // namespace

void run_broker(int turns, const std::filesystem::path& socket, const Work& work,
                const std::function<void(Counts)>& done) {
  (void)os::raise_descriptor_limit();
  Rounds rounds(turns, work);
  rounds.listen(socket);
  rounds.register_backends();
  for (std::uint32_t i = 0; i < work.rounds; ++i) rounds.round();
  for (std::uint32_t i = 0; i < work.reports; ++i) rounds.write_report();
  done({test::allocations(), ::mallinfo2().uordblks});
}

}  // namespace muster::guard
