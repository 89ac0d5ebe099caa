// What a HistoryStore is asked.
#include <array>
#include <utility>

#include "musterd/history/history_file.h"
#include "wire/history.h"

namespace muster::daemon {
namespace {

// Of the texts of one answer, about: half of what the control lane carries.
constexpr std::size_t kMostAnswerBytes = 8U << 20U;

// The value that to_string() has that text for.
template <class Value, std::size_t N>
std::optional<Value> value_of_text(const std::array<Value, N>& values, const std::string& text) {
  for (const Value value : values) {
    if (to_string(value) == text) return value;
  }
  return std::nullopt;
}

constexpr std::array kStates{BroadcastState::kRunning, BroadcastState::kFinished,
                             BroadcastState::kCancelled, BroadcastState::kVerifying};
constexpr std::array kAllVerdicts{HolderVerdict::kUnknown, HolderVerdict::kClear,
                                  HolderVerdict::kHeld};
constexpr std::array kEnds{HoldEnd::kCompleted, HoldEnd::kAbandoned, HoldEnd::kExpired,
                           HoldEnd::kResumed, HoldEnd::kUnseen};

std::uint32_t count_at(const SqlStatement& row, int column) {
  return static_cast<std::uint32_t>(row.number_at(column));
}

HistoryEntry entry_of(const SqlStatement& row) {
  HistoryEntry entry;
  int column = 0;
  entry.id = static_cast<BroadcastId>(row.number_at(column++));
  if (!row.is_null(column)) {
    entry.asked_by =
        Operator{static_cast<uid_t>(row.number_at(column)),
                 static_cast<pid_t>(row.number_at(column + 1)), row.text_at(column + 2)};
  }
  column += 3;
  entry.user = row.text_at(column++);
  entry.operation = row.text_at(column++);
  entry.path = row.text_at(column++);
  entry.operation_key = row.text_at(column++);
  entry.started_unix_ms = static_cast<std::uint64_t>(row.number_at(column++));
  entry.duration = std::chrono::microseconds(row.number_at(column++));
  entry.state = value_of_text(kStates, row.text_at(column++)).value_or(BroadcastState::kRunning);
  entry.interrupted = row.number_at(column++) != 0;
  entry.failed = row.number_at(column++) != 0;
  entry.targets = count_at(row, column++);
  entry.acks = count_at(row, column++);
  entry.timeouts = count_at(row, column++);
  entry.failures = count_at(row, column++);
  entry.skipped_dead = count_at(row, column++);
  entry.late_answers = count_at(row, column++);
  entry.backends_unknown = row.number_at(column++) != 0;
  entry.verify = row.number_at(column++) != 0;
  if (!row.is_null(column)) {
    entry.verdict =
        value_of_text(kAllVerdicts, row.text_at(column)).value_or(HolderVerdict::kUnknown);
  }
  entry.hold = row.number_at(++column) != 0;
  if (!row.is_null(++column)) {
    entry.hold_ended = value_of_text(kEnds, row.text_at(column)).value_or(HoldEnd::kExpired);
  }
  entry.violations = count_at(row, ++column);
  return entry;
}

constexpr std::string_view kEntryColumns =
    "SELECT id, uid, pid, command, user, operation, path, operation_key, started_unix_ms,"
    " duration_us, state, interrupted, failed, targets, acks, timeouts, failures, skipped_dead,"
    " late_answers, backends_unknown, verify, verdict, hold, hold_ended, violations"
    " FROM broadcasts";

constexpr std::string_view kRefusalColumns =
    "SELECT first_unix_ms, last_unix_ms, times, uid, user, pid, command, key, why FROM refusals";

// "WHERE .." of a query, and what is bound to it.
class Conditions {
 public:
  void add(bool wanted, std::string_view condition, std::function<void(SqlStatement&)> bind = {}) {
    if (!wanted) return;
    text_ += text_.empty() ? " WHERE " : " AND ";
    text_ += condition;
    if (bind) binds_.push_back(std::move(bind));
  }
  [[nodiscard]] const std::string& text() const { return text_; }
  void bind(SqlStatement& statement) const {
    for (const auto& bind : binds_) bind(statement);
  }

 private:
  std::string text_;
  std::vector<std::function<void(SqlStatement&)>> binds_;
};

Conditions conditions_of(const HistoryQuery& query, std::string_view began,
                         std::string_view happened) {
  const auto number = [](std::uint64_t value) {
    return [value](SqlStatement& to) { to.number(static_cast<std::int64_t>(value)); };
  };
  const auto text = [](const std::string& value) {
    return [&value](SqlStatement& to) { to.text(value); };
  };
  Conditions all;
  all.add(query.since_unix_ms != 0, std::string(happened) + " >= ?", number(query.since_unix_ms));
  all.add(query.until_unix_ms != 0, std::string(began) + " < ?", number(query.until_unix_ms));
  all.add(query.uid.has_value(), "uid = ?", number(query.uid.value_or(0)));
  all.add(!query.user.empty(), "user = ?", text(query.user));
  if (query.refusals) return all;
  all.add(query.failed, "failed = 1");
  all.add(!query.own, "account <> -1");  // HistoryStore::kOwnQuiesces
  all.add(!query.service.empty(), "id IN (SELECT id FROM services WHERE service = ?)",
          text(query.service));
  return all;
}

// Calls add(row), which gives its size, for at most so many rows. Whether there are more.
template <class Add>
bool read_rows(SqlDatabase& database, std::string_view columns, const Conditions& conditions,
               std::uint32_t limit, Add&& add) {
  SqlStatement rows = database.prepare(std::string(columns) + conditions.text() +
                                       " ORDER BY id DESC LIMIT " + std::to_string(limit + 1));
  conditions.bind(rows);
  std::size_t bytes = 0;
  for (std::uint32_t count = 0; rows.step(); ++count) {
    if (count == limit || bytes > kMostAnswerBytes) return true;
    bytes += add(rows);
  }
  return false;
}

}  // namespace

HistoryPage HistoryStore::find(const HistoryQuery& query) {
  return with_file([&] {
    HistoryPage page;
    SqlDatabase& database = file_->database;
    if (query.refusals) {
      const auto conditions = conditions_of(query, "first_unix_ms", "last_unix_ms");
      page.more =
          read_rows(database, kRefusalColumns, conditions, query.limit, [&](SqlStatement& row) {
            HistoryRefusal& refusal = page.refusals.emplace_back();
            refusal.first_unix_ms = static_cast<std::uint64_t>(row.number_at(0));
            refusal.last_unix_ms = static_cast<std::uint64_t>(row.number_at(1));
            refusal.times = static_cast<std::uint64_t>(row.number_at(2));
            refusal.uid = static_cast<uid_t>(row.number_at(3));
            refusal.user = row.text_at(4);
            refusal.pid = static_cast<pid_t>(row.number_at(5));
            refusal.command = row.text_at(6);
            refusal.key = row.text_at(7);
            refusal.why = row.text_at(8);
            return refusal.why.size() + refusal.key.size() + refusal.command.size();
          });
      return page;
    }
    const auto conditions = conditions_of(query, "started_unix_ms", "started_unix_ms");
    page.more = read_rows(database, kEntryColumns, conditions, query.limit, [&](SqlStatement& row) {
      const HistoryEntry& entry = page.broadcasts.emplace_back(entry_of(row));
      return entry.operation.size() + entry.path.size() + entry.operation_key.size();
    });
    return page;
  });
}

std::optional<std::string> HistoryStore::report(BroadcastId id) {
  return with_file([&] { return read_report(id); });
}

std::optional<std::string> HistoryStore::read_report(BroadcastId id) {
  SqlStatement row = file_->database.prepare(
      "SELECT report, interrupted FROM reports JOIN broadcasts USING (id) WHERE id = ?");
  if (!row.number(static_cast<std::int64_t>(id)).step()) return std::nullopt;
  std::string report = row.text_at(0);
  if (row.number_at(1) != 0) report = wire::interrupted_report(std::move(report));
  return report;
}

}  // namespace muster::daemon
