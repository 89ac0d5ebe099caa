#include "musterd/state/journal.h"

#include <array>
#include <cerrno>
#include <chrono>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

#include <asio/steady_timer.hpp>

#include "musterd/state/durable_file.h"

namespace muster::daemon {
namespace {

constexpr std::string_view kJournalHead = "muster journal 1\n";
constexpr std::size_t kRecordHead = 8;

constexpr std::array<std::uint32_t, 256> make_crc_table() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t byte = 0; byte < table.size(); ++byte) {
    std::uint32_t sum = byte;
    for (int bit = 0; bit < 8; ++bit) sum = (sum >> 1U) ^ ((sum & 1U) != 0 ? 0x82F63B78U : 0U);
    table.at(byte) = sum;
  }
  return table;
}
constexpr auto kCrcTable = make_crc_table();

std::uint32_t crc32c(std::uint32_t sum, std::string_view bytes) {
  sum = ~sum;
  for (const char byte : bytes) {
    sum = kCrcTable.at((sum ^ static_cast<unsigned char>(byte)) & 0xFFU) ^ (sum >> 8U);
  }
  return ~sum;
}

void put_u32(std::string& out, std::uint32_t value) {
  for (unsigned shift = 0; shift < 32; shift += 8) {
    out.push_back(static_cast<char>((value >> shift) & 0xFFU));
  }
}

std::uint32_t get_u32(std::string_view bytes) {
  std::uint32_t value = 0;
  for (unsigned i = 0; i < 4; ++i) {
    value |= static_cast<std::uint32_t>(static_cast<unsigned char>(bytes[i])) << (8 * i);
  }
  return value;
}

// Takes the next whole record off `rest`; false when there is none.
bool next_record(std::string_view& rest, std::string_view& payload) {
  if (rest.size() < kRecordHead) return false;
  const std::uint32_t length = get_u32(rest);
  if (length > kMaxRecordBytes || rest.size() - kRecordHead < length) return false;
  payload = rest.substr(kRecordHead, length);
  if (crc32c(crc32c(0, rest.substr(0, 4)), payload) != get_u32(rest.substr(4))) return false;
  rest.remove_prefix(kRecordHead + length);
  return true;
}

// A record that was not written to its end is too short, and never wrong.
bool is_long_enough(std::string_view rest) {
  if (rest.size() < kRecordHead) return false;
  const std::uint32_t length = get_u32(rest);
  return length > kMaxRecordBytes || rest.size() - kRecordHead >= length;
}

// Records that stand somewhere behind what is none. A crash leaves none there: it cuts the end.
bool read_behind_damage(std::string_view damaged, std::vector<std::string>& records) {
  bool found = false;
  std::string_view payload;
  while (!damaged.empty()) {
    // An empty payload has a sum that zeros have by chance.
    if (next_record(damaged, payload) && !payload.empty()) {
      records.emplace_back(payload);
      found = true;
    } else if (!damaged.empty()) {
      damaged.remove_prefix(1);
    }
  }
  return found;
}

// Empty when all was read.
std::string read_all(int fd, std::string& text) {
  for (;;) {
    constexpr std::size_t kChunk = 64 * 1024;
    const std::size_t before = text.size();
    text.resize(before + kChunk);
    const ssize_t got = ::read(fd, text.data() + before, kChunk);
    const int error = errno;
    text.resize(before + (got > 0 ? static_cast<std::size_t>(got) : 0));
    if (got < 0 && error != EINTR) return failed_to("cannot be read", error);
    if (got == 0) return {};
    if (text.size() > kMaxJournalBytes) return "is larger than any that a broker writes";
  }
}

}  // namespace

std::string frame_record(std::string_view payload) {
  std::string framed;
  framed.reserve(kRecordHead + payload.size());
  put_u32(framed, static_cast<std::uint32_t>(payload.size()));
  put_u32(framed, crc32c(crc32c(0, framed), payload));
  framed += payload;
  return framed;
}

JournalFile::JournalFile(std::filesystem::path directory, const std::string& name,
                         Appended appended)
    : directory_(std::move(directory)), path_(directory_ / name), appended_(appended) {}

JournalContent JournalFile::open() {
  JournalContent content;
  file_ = {};
  size_ = 0;
  // Not waiting: whatever stands there, it may not hold up the start.
  os::UniqueFd file(::open(path_.c_str(), O_RDWR | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  if (!file) {
    content.is_missing = errno == ENOENT;
    if (!content.is_missing) content.problem = failed_to("cannot be read", errno);
    return content;
  }
  struct stat found {};
  if (::fstat(file.get(), &found) != 0 || !S_ISREG(found.st_mode)) {
    content.problem = "is not a file";
    return content;
  }
  std::string text;
  content.problem = read_all(file.get(), text);
  if (!content.problem.empty()) return content;
  if (text.size() < kJournalHead.size() && kJournalHead.starts_with(text)) {
    content.problem = "is cut off";  // it was never put in place like that
    return content;
  }
  std::string_view rest = text;
  if (!rest.starts_with(kJournalHead)) {
    content.problem = "is damaged, or of another version";
    return content;
  }
  rest.remove_prefix(kJournalHead.size());
  std::string_view payload;
  while (next_record(rest, payload)) content.records.emplace_back(payload);
  if (read_behind_damage(rest, content.records) || is_long_enough(rest)) {
    content.problem = "is damaged at byte " + std::to_string(text.size() - rest.size());
    return content;
  }
  content.cut_bytes = rest.size();
  const std::uint64_t whole = text.size() - rest.size();
  // Cut durably: what is appended must never join what is left of another record.
  if (!rest.empty() &&
      (::ftruncate(file.get(), static_cast<off_t>(whole)) != 0 || ::fsync(file.get()) != 0)) {
    return content;  // read, but replace() must come first
  }
  file_ = std::move(file);
  size_ = whole;
  return content;
}

bool JournalFile::is_in_place() const {
  if (!file_) return true;
  struct stat open {};
  struct stat named {};
  return ::fstat(file_.get(), &open) == 0 && ::lstat(path_.c_str(), &named) == 0 &&
         open.st_dev == named.st_dev && open.st_ino == named.st_ino;
}

std::string JournalFile::append(std::string_view framed) {
  if (!file_) return "cannot be written: it must be written anew first";
  const bool synced = appended_ == Appended::kOnDisk;
  if (write_all(file_.get(), framed) && (!synced || ::fdatasync(file_.get()) == 0)) {
    size_ += framed.size();
    return {};
  }
  std::string problem = failed_to("cannot be written", errno);
  (void)::ftruncate(file_.get(), static_cast<off_t>(size_));  // room for replace() on a full disk
  file_ = {};
  return problem;
}

std::string JournalFile::replace(std::string_view framed) {
  std::string text(kJournalHead);
  text += framed;
  if (::access(directory_.c_str(), F_OK) != 0) {
    if (std::string problem = make_private_directory(directory_); !problem.empty()) return problem;
  }
  Replaced replaced = replace_durably(directory_, path_.filename().native(), text);
  if (!replaced.problem.empty()) return replaced.problem;
  file_ = std::move(replaced.file);
  size_ = text.size();
  return {};
}

namespace {

constexpr std::chrono::seconds kRetryJournalAfter{1};

}  // namespace

struct Journal::State : std::enable_shared_from_this<Journal::State> {
  State(const asio::any_io_executor& loop, Worker& worker_of, JournalFile opened, Owner owner_of,
        bool write_anew)
      : worker(worker_of),
        file(std::make_shared<JournalFile>(std::move(opened))),
        owner(std::move(owner_of)),
        retry(loop),
        anew(write_anew),
        size(file->size()),
        size_when_new(file->size()) {}

  struct Outcome {
    std::string problem;
    std::uint64_t size = 0;
  };

  [[nodiscard]] bool must_be_written_anew() const {
    return anew || size + pending.size() > 2 * size_when_new + kSlack;
  }

  [[nodiscard]] std::string everything() const {
    std::string framed;
    for (const std::string& payload : owner.snapshot()) framed += frame_record(payload);
    return framed;
  }

  void flush() {
    if (under_way || closed || (pending.empty() && !anew)) return;
    const bool whole = must_be_written_anew();
    std::string bytes = whole ? everything() : std::move(pending);
    pending.clear();
    if (whole) anew = false;
    waiting = std::exchange(asked, {});
    const auto outcome = std::make_shared<Outcome>();
    outcome->problem = "cannot be written: no memory";
    under_way = true;
    const bool taken = worker.run(
        [file = file, outcome, whole, bytes = std::move(bytes)] {
          outcome->problem = whole ? file->replace(bytes) : file->append(bytes);
          outcome->size = file->size();
        },
        [self = weak_from_this(), outcome, whole](bool) {
          if (const auto state = self.lock()) state->written(*outcome, whole);
        });
    if (taken) return;
    outcome->problem = "cannot be written: no thread is free for it";
    written(*outcome, whole);
  }

  void written(const Outcome& outcome, bool whole) {
    under_way = false;
    const bool durable = outcome.problem.empty();
    if (!durable) anew = true;
    if (durable) {
      size = outcome.size;
      if (whole) size_when_new = size;
    }
    tell(outcome.problem);
    for (const Durable& done : std::exchange(waiting, {})) done(durable);
    if (durable) return flush();
    if (closed) return;
    retry.expires_after(kRetryJournalAfter);
    retry.async_wait([self = weak_from_this()](std::error_code error) {
      const auto state = self.lock();
      if (!error && state) state->flush();
    });
  }

  void check() {
    if (under_way || closed || anew) return;
    const auto in_place = std::make_shared<bool>(true);
    (void)worker.run([file = file, in_place] { *in_place = file->is_in_place(); },
                     [self = weak_from_this(), in_place](bool) {
                       const auto state = self.lock();
                       if (*in_place || !state || state->closed) return;
                       state->anew = true;
                       state->flush();
                     });
  }

  void tell(const std::string& now) {
    const bool changed = now.empty() != problem.empty();
    problem = now;
    if (changed && owner.health) owner.health(problem);
  }

  Worker& worker;
  std::shared_ptr<JournalFile> file;  // the worker's, after the constructor
  Owner owner;
  asio::steady_timer retry;
  bool anew;  // what was written may be missing from the file
  std::uint64_t size;
  std::uint64_t size_when_new;
  std::string pending;  // framed
  std::vector<Durable> asked;
  std::vector<Durable> waiting;  // of what is under way
  std::string problem;
  bool under_way = false;
  bool closed = false;
};

Journal::Journal(const asio::any_io_executor& loop, Worker& worker, JournalFile file, Owner owner,
                 bool anew)
    : state_(std::make_shared<State>(loop, worker, std::move(file), std::move(owner), anew)) {
  if (!anew) return;
  // At once, so that nothing is opened later and the start knows what the disk is like.
  State::Outcome outcome;
  state_->anew = false;
  outcome.problem = state_->file->replace(state_->everything());
  outcome.size = state_->file->size();
  state_->written(outcome, true);
}

Journal::~Journal() = default;

void Journal::append(std::string_view payload, Durable done) {
  State& state = *state_;
  if (payload.size() > kMaxRecordBytes) {  // it could not be read again, nor what stands behind it
    if (done) done(false);
    return;
  }
  if (state.closed || state.pending.size() + payload.size() > kMaxPendingBytes) {
    state.anew = true;
    state.pending.clear();
    if (done) done(false);
    return;
  }
  state.pending += frame_record(payload);
  if (done) state.asked.push_back(std::move(done));
  // While the disk fails, the next try is the timer's.
  if (state.problem.empty()) {
    state.flush();
  } else {
    for (const Durable& waits : std::exchange(state.asked, {})) waits(false);
  }
}

void Journal::when_written(Durable done) {
  State& state = *state_;
  if (state.closed || !state.problem.empty()) return done(false);
  if (!state.pending.empty() || state.anew) {
    state.asked.push_back(std::move(done));
    return state.flush();
  }
  if (!state.under_way) return done(true);
  state.waiting.push_back(std::move(done));
}

void Journal::check() { state_->check(); }

void Journal::close() {
  State& state = *state_;
  if (std::exchange(state.closed, true)) return;
  state.retry.cancel();
  (void)state.worker.run(
      [file = state.file, bytes = state.everything()] { (void)file->replace(bytes); });
}

const std::string& Journal::problem() const noexcept { return state_->problem; }

}  // namespace muster::daemon
