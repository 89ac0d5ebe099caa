#include "broker/process_watch.h"

#include <poll.h>
#include <utility>

#include <asio/post.hpp>

#include "muster/path.h"

#include "os/peer.h"

namespace muster::broker {
namespace {

core::ProcessFactsPtr nothing_but(const char* problem) {
  core::ProcessFacts facts;
  facts.exe_problem = problem;
  return std::make_shared<const core::ProcessFacts>(std::move(facts));
}

}  // namespace

ProcessWatch::ProcessWatch(asio::io_context& context, Transport& transport,
                           std::function<void(ConnectionId)> exited)
    : context_(context),
      transport_(transport),
      memory_(asio::use_service<HandlerMemory>(context)),
      exited_(std::move(exited)) {}

ProcessWatch::~ProcessWatch() { stop(); }

void ProcessWatch::add(ConnectionId connection, os::Peer& peer) {
  if (connection.slot >= links_.size()) links_.resize(connection.slot + 1);
  Link& link = links_[connection.slot];
  link = {};
  link.generation = connection.generation;
  link.is_visible = peer.process.pid != 0;
  if (!peer.pidfd && !peer.exited && !by_identity_.contains(peer.process)) return;
  const ProcessId id = find_or_watch(peer);
  Process& process = *processes_.find(id);
  link.process = id;
  link.next = process.first;
  if (process.first != kNone) links_[process.first].previous = connection.slot;
  process.first = connection.slot;
  if (peer.exited || process.exited) mark_exited(id);
}

core::ProcessFactsPtr ProcessWatch::facts_of(ConnectionId connection) {
  static const auto kInvisible = nothing_but("it is in another pid namespace");
  static const auto kUnwatched = nothing_but("it cannot be watched");
  static const auto kExited = nothing_but("the process has exited");
  if (connection.slot >= links_.size()) return nullptr;
  const Link& link = links_[connection.slot];
  if (link.generation != connection.generation) return nullptr;
  if (link.process.slot == kNone) return link.is_visible ? kUnwatched : kInvisible;
  Process* const process = processes_.find(link.process);
  if (process == nullptr) return kExited;
  if (process->facts != nullptr) return process->facts;
  if (!process->pidfd) return kExited;
  if (!link.is_visible) return kInvisible;
  os::ProcessFacts found = os::facts_of(process->identity.pid, process->pidfd.get());
  core::ProcessFacts facts;
  facts.exe = escape_bytes(found.exe);
  facts.exe_problem = std::move(found.exe_problem);
  facts.started_unix_ms = found.started_unix_ms;
  process->facts = std::make_shared<const core::ProcessFacts>(std::move(facts));
  return process->facts;
}

ProcessWatch::ProcessId ProcessWatch::find_or_watch(os::Peer& peer) {
  // What cannot be told apart from another process by its identity is not shared with one.
  const bool shareable = peer.process.unique != 0;
  if (shareable) {
    if (const auto known = by_identity_.find(peer.process); known != by_identity_.end()) {
      peer.pidfd.reset();
      return known->second;
    }
  }
  Process fresh;
  fresh.identity = peer.process;
  const ProcessId id = processes_.insert(std::move(fresh));
  Process& process = *processes_.find(id);
  try {
    if (shareable) by_identity_.emplace(peer.process, id);
    if (peer.pidfd) {
      process.watch = transport_.watch(peer.pidfd.get(), *this,
                                       static_cast<std::uint64_t>(id.generation) << 32 | id.slot);
      process.pidfd = std::move(peer.pidfd);
      ++descriptors_;
    }
  } catch (...) {
    forget(id);
    throw;
  }
  return id;
}

bool ProcessWatch::still_runs(const os::ProcessIdentity& process) const noexcept {
  const auto known = by_identity_.find(process);
  if (known == by_identity_.end()) return false;
  const Process* const watched = processes_.find(known->second);
  if (watched == nullptr || watched->exited || !watched->pidfd) return false;
  pollfd exit{watched->pidfd.get(), POLLIN, 0};
  return ::poll(&exit, 1, 0) == 0;
}

void ProcessWatch::readable(std::uint64_t token) {
  mark_exited({static_cast<std::uint32_t>(token), static_cast<std::uint32_t>(token >> 32)});
}

void ProcessWatch::mark_exited(ProcessId id) {
  Process* const process = processes_.find(id);
  if (process == nullptr) return;
  gone_.push_back(id);
  schedule();
  process->exited = true;
  transport_.unwatch(process->watch);  // else it would be readable for ever
  if (process->pidfd) --descriptors_;
  process->pidfd.reset();
}

void ProcessWatch::schedule() {
  if (std::exchange(scheduled_, true)) return;
  asio::post(context_, PooledHandler{&memory_, [this] { report(); }});
}

void ProcessWatch::report() {
  scheduled_ = false;
  for (std::size_t i = 0; i < kBatch && !gone_.empty(); ++i) {
    const ProcessId id = gone_.back();
    const Process* const process = processes_.find(id);
    if (process == nullptr || process->first == kNone) {
      gone_.pop_back();
      if (process != nullptr) forget(id);
      continue;
    }
    const std::uint32_t slot = process->first;
    const ConnectionId connection{slot, links_[slot].generation};
    unlink(slot);
    exited_(connection);
  }
  if (!gone_.empty()) schedule();
}

void ProcessWatch::remove(ConnectionId connection) noexcept {
  if (connection.slot >= links_.size()) return;
  const Link& link = links_[connection.slot];
  if (link.generation != connection.generation) return;
  const ProcessId id = link.process;
  const Process* const process = processes_.find(id);
  if (process == nullptr) return;
  unlink(connection.slot);
  // One that has exited is still in gone_, and forgotten there.
  if (process->first == kNone && !process->exited) forget(id);
}

void ProcessWatch::unlink(std::uint32_t slot) noexcept {
  const Link link = std::exchange(links_[slot], {});
  if (link.previous != kNone) {
    links_[link.previous].next = link.next;
  } else if (Process* const process = processes_.find(link.process)) {
    process->first = link.next;
  }
  if (link.next != kNone) links_[link.next].previous = link.previous;
}

void ProcessWatch::forget(ProcessId id) noexcept {
  const Process* const process = processes_.find(id);
  const auto known = by_identity_.find(process->identity);
  if (known != by_identity_.end() && known->second.slot == id.slot &&
      known->second.generation == id.generation) {
    by_identity_.erase(known);
  }
  transport_.unwatch(process->watch);
  if (process->pidfd) --descriptors_;
  processes_.erase(id);
}

void ProcessWatch::stop() noexcept {
  processes_.for_each([&](ProcessId id, Process&) { forget(id); });
  links_.clear();
  gone_.clear();
}

}  // namespace muster::broker
