#include "musterd/state/journal_file.h"

#include <array>
#include <cerrno>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <utility>

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
    if (errno != ENOENT) content.problem = failed_to("cannot be read", errno);
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
    content.cut_bytes = text.size();  // the crash came before the first record
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
  Replaced replaced = replace_durably(directory_, path_.filename().native(), text);
  if (!replaced.problem.empty()) return replaced.problem;
  file_ = std::move(replaced.file);
  size_ = text.size();
  return {};
}

}  // namespace muster::daemon
