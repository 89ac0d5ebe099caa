#include <cstdlib>
#include <optional>
#include <string>
#include <unistd.h>

#include <gtest/gtest.h>

#include "muster/socket_dir.h"

#include "support/temp_dir.h"

namespace muster {
namespace {

// Sets, or unsets, an environment variable while it lives.
class Variable {
 public:
  Variable(const char* name, const std::optional<std::string>& value) : name_(name) {
    if (const char* before = std::getenv(name)) before_ = before;
    set(value);
  }
  ~Variable() { set(before_); }
  Variable(const Variable&) = delete;
  Variable& operator=(const Variable&) = delete;

 private:
  void set(const std::optional<std::string>& value) const {
    if (value) {
      ::setenv(name_, value->c_str(), 1);
    } else {
      ::unsetenv(name_);
    }
  }

  const char* name_;
  std::optional<std::string> before_;
};

// Somebody who is not root, while it lives.
class AsOther {
 public:
  AsOther() {
    if (before_ == 0 && ::seteuid(65534) != 0) ADD_FAILURE() << "seteuid";
  }
  ~AsOther() {
    if (::seteuid(before_) != 0) ADD_FAILURE() << "seteuid";
  }
  AsOther(const AsOther&) = delete;
  AsOther& operator=(const AsOther&) = delete;

 private:
  uid_t before_ = ::geteuid();
};

std::string found(const std::filesystem::path& given = {}) {
  const SocketDir dir = find_socket_dir(given);
  return dir.problem.empty() ? dir.path.native() : "problem: " + dir.problem;
}

TEST(SocketDirTest, WhatIsGivenComesFirst) {
  const Variable variable("MUSTER_SOCKET_DIR", "/from/environment");
  EXPECT_EQ(found("/given"), "/given");
  EXPECT_EQ(found("/given/./x/../dir/"), "/given/dir");
  EXPECT_EQ(found("/"), "/");
}

TEST(SocketDirTest, TheVariableComesNext) {
  const Variable runtime("XDG_RUNTIME_DIR", "/run/user/1");
  const Variable variable("MUSTER_SOCKET_DIR", "/from/environment");
  EXPECT_EQ(found(), "/from/environment");
}

TEST(SocketDirTest, ARelativeOneIsTakenFromHere) {
  EXPECT_EQ(found("here"), (std::filesystem::current_path() / "here").native());
  const Variable variable("MUSTER_SOCKET_DIR", "there");
  EXPECT_EQ(found(), (std::filesystem::current_path() / "there").native());
}

TEST(SocketDirTest, TheSystemsComesNextWhereItExistsThenTheSessions) {
  const test::TempDir dir;
  const std::filesystem::path system = dir / "run-muster";
  const Variable variable("MUSTER_SOCKET_DIR", "");  // as if it were not set
  const auto look = [&](const SocketDirSearch& search) {
    const SocketDir found = search.find(system);
    return found.problem.empty() ? found.path.native() : "problem: " + found.problem;
  };
  const auto session_search = [] {
    const Variable runtime("XDG_RUNTIME_DIR", "/run/user/1");
    return SocketDirSearch();
  };
  const auto bare_search = [] {  // a daemon of a unit has no session
    const Variable runtime("XDG_RUNTIME_DIR", std::nullopt);
    return SocketDirSearch();
  };
  const SocketDirSearch session = session_search();
  const SocketDirSearch bare = bare_search();
  EXPECT_EQ(look(session), "/run/user/1/muster");
  EXPECT_EQ(look(bare), system) << "where a broker may come to be";
  std::filesystem::create_directory(system);  // a system's broker is installed later
  EXPECT_EQ(look(session), system) << "whoever the user is";
  EXPECT_EQ(look(bare), system);
  std::filesystem::remove(system);
  EXPECT_EQ(look(session), "/run/user/1/muster") << "looked up again each time";
  EXPECT_EQ(look(SocketDirSearch("/given")), "/given");
}

TEST(SocketDirTest, NoRuntimeDirectoryIsNoProblemForWhoLooksForABroker) {
  const AsOther other;
  const Variable variable("MUSTER_SOCKET_DIR", std::nullopt);
  const Variable runtime("XDG_RUNTIME_DIR", std::nullopt);
  EXPECT_EQ(found(), "/run/muster");
}

TEST(SocketDirTest, ARelativeRuntimeDirectoryIsAProblemUnlessThereIsASystemsBroker) {
  const Variable variable("MUSTER_SOCKET_DIR", std::nullopt);
  const Variable relative("XDG_RUNTIME_DIR", "run");
  const SocketDirSearch search;
  EXPECT_NE(search.find("/nowhere/muster").problem.find("not an absolute path"), std::string::npos);
  EXPECT_EQ(search.find("/").path, "/");
}

std::string served(const std::filesystem::path& given = {}) {
  const SocketDir dir = socket_dir_to_serve(given);
  return dir.problem.empty() ? dir.path.native() : "problem: " + dir.problem;
}

TEST(SocketDirTest, ABrokerServesTheSystemForRootAndTheSessionForOthers) {
  const Variable variable("MUSTER_SOCKET_DIR", "");
  const Variable runtime("XDG_RUNTIME_DIR", "/run/user/1");
  if (::geteuid() == 0) {
    EXPECT_EQ(served(), "/run/muster");
  }
  const AsOther other;
  EXPECT_EQ(served(), "/run/user/1/muster");
  EXPECT_EQ(served("/given"), "/given");
  const Variable named("MUSTER_SOCKET_DIR", "/from/environment");
  EXPECT_EQ(served(), "/from/environment");
}

TEST(SocketDirTest, WithoutASessionThereIsNowhereToServe) {
  const AsOther other;
  const Variable variable("MUSTER_SOCKET_DIR", std::nullopt);
  const Variable runtime("XDG_RUNTIME_DIR", std::nullopt);
  EXPECT_NE(served().find("neither MUSTER_SOCKET_DIR nor XDG_RUNTIME_DIR is set"),
            std::string::npos);
  const Variable relative("XDG_RUNTIME_DIR", "run");
  EXPECT_NE(served().find("not an absolute path"), std::string::npos);
}

TEST(SocketDirTest, WhatDoesNotFitIntoASocketAddressIsRefused) {
  // 107 bytes, of which "/backend.sock" takes 13.
  const std::string longest = "/" + std::string(93, 'd');
  EXPECT_EQ(found(longest), longest);
  const std::string sentence = found(longest + "d");
  EXPECT_TRUE(sentence.starts_with("problem: the socket directory \"/ddd")) << sentence;
  EXPECT_NE(sentence.find("95 bytes, at most 94 fit"), std::string::npos) << sentence;
}

TEST(SocketDirTest, ANulByteIsRefusedAndShownAsSuch) {
  const std::string sentence = found(std::string("/a\0b", 4));
  EXPECT_NE(sentence.find(R"("/a\x00b" contains a NUL byte)"), std::string::npos) << sentence;
}

}  // namespace
}  // namespace muster
