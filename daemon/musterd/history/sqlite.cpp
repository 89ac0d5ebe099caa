#include "musterd/history/sqlite.h"

#include <sqlite3.h>

namespace muster::daemon {
namespace {

[[noreturn]] void fail(sqlite3* database, int code) {
  std::string why = sqlite3_errstr(code);
  if (database != nullptr && sqlite3_extended_errcode(database) == code) {
    why = sqlite3_errmsg(database);
  }
  throw SqlError(code, why);
}

}  // namespace

bool SqlError::means_damage() const noexcept {
  const int primary = code_ & 0xFF;
  return primary == SQLITE_CORRUPT || primary == SQLITE_NOTADB;
}

// --- statements

SqlStatement::SqlStatement(sqlite3* database, std::string_view sql) {
  const int code =
      sqlite3_prepare_v2(database, sql.data(), static_cast<int>(sql.size()), &handle_, nullptr);
  if (code != SQLITE_OK) fail(database, code);
}

SqlStatement::~SqlStatement() { sqlite3_finalize(handle_); }

void SqlStatement::check(int code) const {
  if (code != SQLITE_OK) fail(sqlite3_db_handle(handle_), code);
}

SqlStatement& SqlStatement::number(std::int64_t value) {
  check(sqlite3_bind_int64(handle_, ++bound_, value));
  return *this;
}

SqlStatement& SqlStatement::number(std::optional<std::int64_t> value) {
  if (value) return number(*value);
  check(sqlite3_bind_null(handle_, ++bound_));
  return *this;
}

SqlStatement& SqlStatement::text(std::string_view value) {
  // Of a null pointer SQLite would make NULL.
  const char* const at = value.empty() ? "" : value.data();
  check(sqlite3_bind_text64(handle_, ++bound_, at, value.size(), SQLITE_STATIC, SQLITE_UTF8));
  return *this;
}

SqlStatement& SqlStatement::blob(std::string_view value) {
  const char* const at = value.empty() ? "" : value.data();
  check(sqlite3_bind_blob64(handle_, ++bound_, at, value.size(), SQLITE_STATIC));
  return *this;
}

bool SqlStatement::step() {
  const int code = sqlite3_step(handle_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  fail(sqlite3_db_handle(handle_), code);
}

void SqlStatement::run() {
  while (step()) {
  }
  reset();
}

void SqlStatement::reset() noexcept {
  sqlite3_reset(handle_);
  bound_ = 0;
}

std::int64_t SqlStatement::number_at(int column) const {
  return sqlite3_column_int64(handle_, column);
}

bool SqlStatement::is_null(int column) const {
  return sqlite3_column_type(handle_, column) == SQLITE_NULL;
}

std::string SqlStatement::text_at(int column) const {
  const void* const at = sqlite3_column_blob(handle_, column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(handle_, column));
  return at == nullptr ? std::string() : std::string(static_cast<const char*>(at), size);
}

// --- the connection

SqlDatabase::SqlDatabase(const std::filesystem::path& file) {
  constexpr int kFlags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX |
                         SQLITE_OPEN_NOFOLLOW | SQLITE_OPEN_EXRESCODE;
  const int code = sqlite3_open_v2(file.c_str(), &handle_, kFlags, nullptr);
  if (code == SQLITE_OK) return;
  const std::string why = sqlite3_errstr(code);
  sqlite3_close_v2(handle_);
  throw SqlError(code, why);
}

SqlDatabase::~SqlDatabase() { sqlite3_close_v2(handle_); }

void SqlDatabase::run(const char* sql) {
  const int code = sqlite3_exec(handle_, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) fail(handle_, code);
}

std::int64_t SqlDatabase::number_of(std::string_view sql) {
  SqlStatement statement = prepare(sql);
  return statement.step() ? statement.number_at(0) : 0;
}

std::int64_t SqlDatabase::changes() const noexcept { return sqlite3_changes64(handle_); }

void SqlDatabase::release_memory() noexcept { sqlite3_db_release_memory(handle_); }

SqlTransaction::SqlTransaction(SqlDatabase& database) : database_(database) {
  database_.run("BEGIN IMMEDIATE");
}

SqlTransaction::~SqlTransaction() {
  if (!is_open_) return;
  try {
    database_.run("ROLLBACK");
  } catch (const SqlError&) {  // NOLINT(bugprone-empty-catch): SQLite did so already
  }
}

void SqlTransaction::commit() {
  database_.run("COMMIT");
  is_open_ = false;
}

}  // namespace muster::daemon
