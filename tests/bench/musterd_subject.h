// musterd as a subject: the real program, driven over its control lane.
#pragma once

#include <memory>

#include "bench/musterd_process.h"
#include "bench/subject.h"

namespace muster::bench {

[[nodiscard]] std::unique_ptr<Subject> start_musterd(const MusterdCommand& command,
                                                     const std::filesystem::path& directory);

}  // namespace muster::bench
