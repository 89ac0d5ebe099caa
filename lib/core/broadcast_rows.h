// A broadcast as the rows of its report.
#pragma once

#include "core/broadcast.h"
#include "model/report_rows.h"

namespace muster::core {

class BroadcastRows final : public ReportSource {
 public:
  // `broadcast` outlives it; `now` is the end of one that still runs.
  BroadcastRows(const Broadcast& broadcast, SteadyTime now) : broadcast_(&broadcast), now_(now) {}

  [[nodiscard]] ReportHead head() const override;
  void for_each_backend(const std::function<void(const OutcomeRow&)>& visit) const override;
  void for_each_late(const std::function<void(const LateRow&)>& visit) const override;

  [[nodiscard]] OutcomeRow target(std::uint32_t index) const;

 private:
  const Broadcast* broadcast_;
  SteadyTime now_;
};

}  // namespace muster::core
