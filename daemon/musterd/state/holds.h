// The holds that go on, on disk, so that they do so after a restart of the broker.
//
// The file is replaced as a whole, with what the core has by then, however many holds began or
// ended meanwhile. A file that is damaged is kept beside it, under another name.
//
// The loop's thread.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <asio/any_io_executor.hpp>

#include "core/broker.h"
#include "musterd/log/log.h"
#include "musterd/runtime/worker.h"

namespace muster::daemon {

inline constexpr const char* kHoldsFileName = "holds";
inline constexpr const char* kDamagedHoldsName = "holds.damaged";

// A record of the file.
[[nodiscard]] std::string encode_hold(const core::KeptHold& hold);
// Nothing for anything else than what encode_hold() makes.
[[nodiscard]] std::optional<core::KeptHold> decode_hold(std::string_view record);

class HoldStore {
 public:
  using Source = std::function<std::vector<core::KeptHold>()>;

  // How long an operator waits for the disk. Then the answer comes although the hold is not
  // written.
  static constexpr std::chrono::seconds kPatience{1};

  // Reads the file; what cannot be read is logged, stands in problem(), and stops nobody. `worker`
  // and `log` outlive it.
  HoldStore(const asio::any_io_executor& loop, Worker& worker,
            const std::filesystem::path& directory, Log& log);
  ~HoldStore();
  HoldStore(const HoldStore&) = delete;
  HoldStore& operator=(const HoldStore&) = delete;

  // What the last broker left; once.
  [[nodiscard]] std::vector<core::KeptHold> load();
  // From now on `source` says what goes on. It is asked in turns of the loop of their own.
  void keep(Source source);
  // It has changed. May be called from inside the core.
  void changed() noexcept;
  // `done` is called from the loop, never from here, when what was changed before is on disk; where
  // the disk fails, or takes more than kPatience, then.
  void when_written(std::function<void()> done);
  // Why holds may be lost over a restart, or were; empty when all is well. A sentence.
  [[nodiscard]] std::string problem() const;
  // From time to time: writes what could not be written, and a file that was deleted.
  void check();
  // Writes what changed; nothing is armed any more.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;
};

}  // namespace muster::daemon
