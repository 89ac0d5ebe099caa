#include "musterd/control/holder_scans.h"

#include <cerrno>
#include <chrono>
#include <cstring>
#include <sys/socket.h>
#include <sys/un.h>
#include <utility>

#include "muster/text.h"

#include "net/asked_scan.h"
#include "net/blocking_frames.h"
#include "os/error_text.h"
#include "os/unique_fd.h"

namespace muster::daemon {
namespace {

// A scan has 2 s for leases at most, and a second for every 100,000 descriptors.
constexpr std::chrono::seconds kPatience{30};

HolderScan failed(const wire::ScanRequest& request, std::string problem) {
  HolderScan scan;
  scan.prefix = request.path;
  scan.problem = std::move(problem);
  return scan;
}

}  // namespace

HolderScan scan_with_rights(const std::filesystem::path& socket, const wire::ScanRequest& request,
                            std::chrono::milliseconds patience) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  const std::string name = "muster-scan at " + quote(socket.native());
  if (socket.native().size() >= sizeof address.sun_path) {
    return failed(request, name + ": the path is too long for a socket");
  }
  socket.native().copy(address.sun_path, sizeof address.sun_path - 1);
  const os::UniqueFd connection(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!connection) return failed(request, name + ": " + os::error_text(errno));
  net::set_patience(connection.get(), patience);
  if (::connect(connection.get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
      0) {
    if (errno == ENOENT || errno == ENOTDIR)
      return net::scan_as_asked(request);  // it is not installed
    return failed(request, name + " cannot be asked: " + os::error_text(errno));
  }
  std::string problem = net::send_frame(connection.get(), wire::encode_scan(request));
  if (!problem.empty()) return failed(request, name + " cannot be asked: " + problem);
  const std::string body = net::receive_frame(connection.get(), wire::kMaxScanBody, problem);
  HolderScan scan;
  if (problem.empty()) problem = wire::decode_scan(body, scan);
  if (!problem.empty()) return failed(request, name + " gave no answer: " + problem);
  return scan;
}

HolderScans::HolderScans(const asio::any_io_executor& loop, std::filesystem::path socket)
    : socket_(std::move(socket)), worker_(loop, kMost) {}

bool HolderScans::scan(uid_t user, wire::ScanRequest request, Done done) {
  const auto known = counts_->of_users.find(user);
  const std::size_t of_user = known == counts_->of_users.end() ? 0 : known->second;
  if (counts_->all >= kMost || of_user >= kMostOfUser) return false;
  const auto scan = std::make_shared<HolderScan>(failed(request, "the scan failed"));
  const bool is_taken = worker_.run(
      [scan, socket = socket_, request = std::move(request)] {
        *scan = scan_with_rights(socket, request, kPatience);
      },
      [scan, counts = counts_, user, done = std::move(done)](bool /*finished*/) {
        --counts->all;
        if (--counts->of_users[user] == 0) counts->of_users.erase(user);
        done(std::move(*scan));
      });
  if (is_taken) {
    ++counts_->all;
    ++counts_->of_users[user];
  }
  return is_taken;
}

}  // namespace muster::daemon
