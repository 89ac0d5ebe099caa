#include "bench/subjects.h"

#include <stdexcept>
#include <utility>

#include "bench/child.h"
#include "bench/forked_subject.h"
#include "bench/musterd_subject.h"
#include "bench/uring_floor.h"

namespace muster::bench {
namespace {

// What musterd may have, the default first.
constexpr const char* kTransports[] = {"epoll", "io_uring"};

BrokerStatus status_of(const MusterdCommand& command) {
  const TemporaryDirectory directory;
  MusterdProcess musterd(command, directory.path());
  wire::ControlRequestFrame request;
  request.request_id = 1;
  request.message = wire::GetStatus{};
  musterd.send(wire::encode(request));
  const wire::ControlResponse response = musterd.decode(musterd.receive());
  const auto* status = std::get_if<BrokerStatus>(&response);
  if (status == nullptr) throw std::runtime_error("musterd sent no status");
  return *status;
}

void add_musterd(Subjects& subjects, NamedCommand named) {
  const BrokerStatus status = status_of(named.command);
  SubjectSpec spec;
  spec.kind = SubjectSpec::Kind::kMusterd;
  spec.name = named.name;
  spec.version = status.version;
  spec.transport = status.transport;
  spec.start = [command = named.command](const std::filesystem::path& directory) {
    return start_musterd(command, directory);
  };
  subjects.specs.push_back(std::move(spec));
  subjects.musterds.push_back(std::move(named));
}

NamedCommand with_transport(const Options& options, const std::string& transport) {
  MusterdCommand command{options.musterd, options.musterd_arguments};
  command.arguments.insert(command.arguments.end(), {"--transport", transport});
  return {"musterd " + transport, std::move(command)};
}

NamedCommand with_words(const Options& options, const NamedMusterd& named) {
  MusterdCommand command{options.musterd, options.musterd_arguments};
  auto word = named.words.begin();
  if (word != named.words.end() && !word->starts_with('-')) command.program = *word++;
  command.arguments.insert(command.arguments.end(), word, named.words.end());
  return {named.name, std::move(command)};
}

void add_all_transports(Subjects& subjects, const Options& options) {
  for (const char* transport : kTransports) {
    try {
      add_musterd(subjects, with_transport(options, transport));
    } catch (const std::runtime_error& error) {
      if (subjects.musterds.empty()) throw;
      subjects.left_out.push_back({std::string("musterd ") + transport, error.what()});
    }
  }
}

}  // namespace

Subjects choose_subjects(const Options& options) {
  Subjects subjects;
  SubjectSpec floor;
  floor.name = "floor";
  floor.start = start_floor;
  subjects.specs.push_back(std::move(floor));

  if (!options.floor_only) {
    if (options.transports.empty() && options.named.empty()) add_all_transports(subjects, options);
    for (const std::string& transport : options.transports) {
      add_musterd(subjects, with_transport(options, transport));
    }
    for (const NamedMusterd& named : options.named) {
      add_musterd(subjects, with_words(options, named));
    }
  }
  if (options.with_bare_uring) subjects.specs.push_back(uring_floor());
  if (options.with_peers) add_peers(subjects);
  return subjects;
}

}  // namespace muster::bench
