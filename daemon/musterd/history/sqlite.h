// SQLite, as far as the history needs it: a connection and its statements, errors as exceptions.
// One thread at a time.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>

struct sqlite3;       // NOLINT(readability-identifier-naming): SQLite's
struct sqlite3_stmt;  // NOLINT(readability-identifier-naming): SQLite's

namespace muster::daemon {

class SqlError : public std::runtime_error {
 public:
  // `code`: SQLite's, extended.
  SqlError(int code, const std::string& what) : std::runtime_error(what), code_(code) {}

  // The file is none of SQLite's, or it is damaged.
  [[nodiscard]] bool means_damage() const noexcept;

 private:
  int code_;
};

// A prepared statement. Parameters are bound in their order, from the first on.
class SqlStatement {
 public:
  SqlStatement(sqlite3* database, std::string_view sql);
  ~SqlStatement();
  SqlStatement(SqlStatement&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  SqlStatement& operator=(SqlStatement&&) = delete;
  SqlStatement(const SqlStatement&) = delete;
  SqlStatement& operator=(const SqlStatement&) = delete;

  SqlStatement& number(std::int64_t value);
  SqlStatement& number(std::optional<std::int64_t> value);  // nothing: NULL
  // What `value` points at is used until the next reset().
  SqlStatement& text(std::string_view value);
  SqlStatement& blob(std::string_view value);

  // Whether there is a (further) row.
  [[nodiscard]] bool step();
  // Runs to the end, and may be bound anew then.
  void run();
  void reset() noexcept;

  [[nodiscard]] std::int64_t number_at(int column) const;
  [[nodiscard]] bool is_null(int column) const;
  [[nodiscard]] std::string text_at(int column) const;

 private:
  void check(int code) const;

  sqlite3_stmt* handle_ = nullptr;
  int bound_ = 0;
};

class SqlDatabase {
 public:
  // Opens or creates it.
  explicit SqlDatabase(const std::filesystem::path& file);
  ~SqlDatabase();
  SqlDatabase(const SqlDatabase&) = delete;
  SqlDatabase& operator=(const SqlDatabase&) = delete;

  // One or more statements, without parameters.
  void run(const char* sql);
  [[nodiscard]] SqlStatement prepare(std::string_view sql) { return {handle_, sql}; }
  // The number that a statement without parameters gives.
  [[nodiscard]] std::int64_t number_of(std::string_view sql);
  // Rows that the last statement changed.
  [[nodiscard]] std::int64_t changes() const noexcept;
  // Gives back memory that is not needed right now.
  void release_memory() noexcept;

 private:
  sqlite3* handle_ = nullptr;
};

// All that is done until commit(), or nothing of it.
class SqlTransaction {
 public:
  explicit SqlTransaction(SqlDatabase& database);
  ~SqlTransaction();
  SqlTransaction(const SqlTransaction&) = delete;
  SqlTransaction& operator=(const SqlTransaction&) = delete;

  void commit();

 private:
  SqlDatabase& database_;
  bool is_open_ = true;
};

}  // namespace muster::daemon
