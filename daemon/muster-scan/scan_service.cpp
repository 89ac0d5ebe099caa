#include "muster-scan/scan_service.h"

#include <algorithm>
#include <cerrno>
#include <poll.h>
#include <sys/socket.h>

#include "net/asked_scan.h"
#include "net/blocking_frames.h"
#include "os/error_text.h"
#include "os/unique_fd.h"

namespace muster::scan {
namespace {

constexpr std::uint32_t kMaxRows = 1'000;
constexpr std::uint64_t kMaxLeaseFiles = 100'000;
constexpr std::uint32_t kMaxLeaseMs = 10'000;

}  // namespace

wire::ScanRequest within_limits(wire::ScanRequest request) {
  request.max_holders = std::min(request.max_holders, kMaxRows);
  request.max_unseen = std::min(request.max_unseen, kMaxRows);
  request.max_lease_files = std::min(request.max_lease_files, kMaxLeaseFiles);
  request.max_lease_ms = std::min(request.max_lease_ms, kMaxLeaseMs);
  return request;
}

std::string answer(int socket, std::chrono::milliseconds patience) {
  net::set_patience(socket, patience);
  std::string problem;
  const std::string body = net::receive_frame(socket, wire::kMaxScanQuestion, problem);
  if (!problem.empty()) return "no question came: " + problem;
  wire::ScanRequest asked;
  problem = wire::decode_scan(body, asked);
  HolderScan scan;
  if (problem.empty()) {
    scan = net::scan_as_asked(within_limits(std::move(asked)));
  } else {
    scan.problem = problem;
  }
  std::string answer = wire::encode_scan(scan);
  if (answer.size() > wire::kMaxScanBody) {
    HolderScan too_large;
    too_large.prefix = scan.prefix;
    too_large.problem = "the answer is over the limit of " + std::to_string(wire::kMaxScanBody) +
                        " bytes: ask for fewer rows";
    answer = wire::encode_scan(too_large);
  }
  const std::string unsent = net::send_frame(socket, answer);
  if (problem.empty() && !unsent.empty()) problem = "the answer was not taken: " + unsent;
  return problem;
}

bool serve(int listener, const ServiceLimits& limits,
           const std::function<void(const std::string&)>& log) {
  for (;;) {
    pollfd look{listener, POLLIN, 0};
    const int ready = ::poll(&look, 1, static_cast<int>(limits.idle.count()));
    if (ready == 0) return true;
    if (ready < 0 && errno == EINTR) continue;
    const os::UniqueFd connection(::accept4(listener, nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection) {
      if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) continue;
      log("accept: " + os::error_text(errno));
      return false;
    }
    const std::string problem = answer(connection.get(), limits.patience);
    if (!problem.empty()) log(problem);
  }
}

}  // namespace muster::scan
