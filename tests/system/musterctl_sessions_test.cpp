// The brokers of user sessions, asked together with the host's: real brokers and backends.
#include <algorithm>
#include <csignal>
#include <filesystem>
#include <fstream>
#include <list>
#include <regex>
#include <string>
#include <sys/stat.h>
#include <unistd.h>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.h"
#include "support/temp_dir.h"
#include "system/musterctl_fixture.h"

namespace muster::test {
namespace {

namespace fs = std::filesystem;

class MusterctlSessions : public test::Musterctl {
 protected:
  // Where the broker of `uid` belongs, and its own directory.
  fs::path sockets_of(uid_t uid) {
    const fs::path user = sessions / std::to_string(uid);
    fs::create_directories(user / "muster");
    EXPECT_EQ(::chown(user.c_str(), uid, static_cast<gid_t>(-1)), 0);
    return user / "muster";
  }
  Process& session_broker(uid_t uid, std::vector<std::string> more = {}) {
    const fs::path sockets = sockets_of(uid);
    more.insert(more.end(), {"--transport", test::test_transport()});
    processes.emplace_back(test::musterd(std::move(more)), in(sockets));
    processes.back().wait_for("listening");
    return processes.back();
  }
  Process& session_backend(uid_t uid, std::vector<std::string> arguments) {
    arguments.insert(arguments.begin(), test::program("muster-fake-backend"));
    processes.emplace_back(std::move(arguments), in(sessions / std::to_string(uid) / "muster"));
    processes.back().wait_for("registered");
    return processes.back();
  }
  static test::ProcessOptions in(const fs::path& sockets) {
    return {{{"MUSTER_SOCKET_DIR", sockets.native()}, {"TZ", "UTC"}}, sockets};
  }
  Finished ask(std::vector<std::string> arguments) {
    arguments.insert(arguments.begin() + 1, {"--sessions-dir", sessions.native()});
    return programs.ctl(std::move(arguments));
  }
  // Without the directory of the test and the names of users.
  std::string shown(std::string text) const {
    for (std::size_t at = 0; (at = text.find(sessions.native(), at)) != std::string::npos;) {
      text.replace(at, sessions.native().size(), "S");
    }
    return std::regex_replace(settled(std::move(text)), std::regex("of [a-z]+ \\(uid "),
                              "of U (uid ");
  }

  test::TempDir dir;
  fs::path sessions = fs::canonical(dir.path());
  std::list<Process> processes;
  uid_t self = ::geteuid();
};

TEST_F(MusterctlSessions, AreAskedTooWithOneReportEach) {
  backend("host");
  session_broker(self);
  Process& indexer = session_backend(self, {"--service", "indexer"});
  const Finished finished = ask({"release-handles", "/usr"});
  EXPECT_EQ(finished.status, 0) << finished.err;
  const std::string uid = std::to_string(self);
  EXPECT_EQ(shown(finished.out),
            "release-handles /usr: 1 of 1 acked in T (broadcast ID)\n"
            "session of U (uid " +
                uid + "), S/" + uid +
                "/muster:\n"
                "release-handles /usr: 1 of 1 acked in T (broadcast ID)\n");
  EXPECT_EQ(finished.err.find("asking 1 broker of user sessions, too\n"), 0u) << finished.err;
  indexer.end();
  EXPECT_EQ(test::operations(indexer), "operation ID release-handles /usr\n");
}

TEST_F(MusterctlSessions, AreAskedFirstTooBeforeAnybodyReleases) {
  Process& host = backend("host");
  session_broker(self);
  Process& indexer = session_backend(
      self, {"--service", "indexer", "--on-preflight", "ack", "--on-preflight", "reject:no"});
  EXPECT_EQ(ask({"release-handles", "--ask-first", "-q", "/usr"}).status, 0);
  const Finished finished = ask({"release-handles", "--ask-first", "/usr"});
  EXPECT_EQ(finished.status, 1) << finished.err;
  EXPECT_NE(finished.out.find("rejected    indexer"), std::string::npos) << finished.out;
  EXPECT_TRUE(finished.out.ends_with(
      "Nothing was released: a broker of a user session did not agree, see above.\n"))
      << finished.out;
  for (Process* one : {&host, &indexer}) {
    one->end();
    EXPECT_EQ(test::operations(*one),
              "operation ID preflight of release-handles /usr\n"
              "operation ID release-handles /usr\n"
              "operation ID preflight of release-handles /usr\n");
  }
}

TEST_F(MusterctlSessions, MakeOneExitStatusAndNeverAFalseZero) {
  Process& host = backend("host");
  session_broker(self);
  // Nobody in the session: the host's verdict stands.
  EXPECT_EQ(ask({"quiesce"}).status, 0);
  Process& mute = session_backend(self, {"--service", "no", "--on-quiesce", "reject:busy"});
  const Finished finished = ask({"quiesce"});
  EXPECT_EQ(finished.status, 1);
  const std::string where = "S/" + std::to_string(self) + "/muster";
  EXPECT_NE(shown(finished.out)
                .find("rejected    no 1.0.0 (pid P, uid U): \"busy\"\n"
                      "`musterctl --socket-dir " +
                      where + " result ID --json`"),
            std::string::npos)
      << finished.out;
  EXPECT_EQ(ask({"quiesce", "-q"}).status, 1);
  EXPECT_EQ(ask({"quiesce", "--no-sessions"}).status, 0);
  // Nobody on the host: the session's stands.
  host.end();
  EXPECT_EQ(ask({"quiesce"}).status, 1);
  mute.end();
  EXPECT_EQ(ask({"quiesce"}).status, 5);
  EXPECT_EQ(ask({"quiesce", "--allow-empty"}).status, 0);
}

// Waves are of one broker. Whoever was not asked makes it no yes.
TEST_F(MusterctlSessions, AreNamedAsNotAskedByWaves) {
  backend("host");
  session_broker(self);
  const std::string where = std::to_string(self) + "), S/" + std::to_string(self) + "/muster";
  const Finished finished = ask({"release-handles", "--batch", "1", "/usr"});
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(shown(finished.out),
            "wave 1 of 1: 1 of 1 acked in T (broadcast ID)\n"
            "  not asked   session of U (uid " +
                where +
                "\n"
                "release-handles /usr: 1 of 1 acked in 1 wave; 1 broker of a user session was not "
                "asked\n");
  EXPECT_EQ(ask({"quiesce", "-q", "--batch", "1"}).status, 1);
  EXPECT_EQ(ask({"quiesce", "--batch", "1", "--no-sessions"}).status, 0);
}

TEST_F(MusterctlSessions, LeftOutAreNamed) {
  backend("host");
  session_broker(self);
  const Finished finished = ask({"quiesce", "--no-sessions"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(finished.out.find("session"), std::string::npos);
  EXPECT_EQ(finished.err.find("the brokers of user sessions are left out (--no-sessions)\n"), 0u);
  const Finished dry = ask({"quiesce", "--dry-run"});
  EXPECT_EQ(dry.err,
            "1 broker of user sessions left out: --dry-run is of the host's broker alone\n");
  const Finished detached = ask({"quiesce", "--detach"});
  EXPECT_EQ(detached.err,
            "musterctl: warning: 1 broker of user sessions left out: --detach is of the host's "
            "broker alone\n");
}

TEST_F(MusterctlSessions, AreAMemberOfTheJsonObject) {
  backend("host");
  // Without one the object is the host's report, as ever.
  EXPECT_EQ(ask({"quiesce", "--json"}).out.find("\"sessions\""), std::string::npos);
  session_broker(self);
  session_backend(self, {"--service", "indexer"});
  const Finished finished = ask({"quiesce", "--json"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(std::count(finished.out.begin(), finished.out.end(), '\n'), 1);
  EXPECT_EQ(finished.out.substr(0, 16), "{\"broadcast_id\":");
  const std::string uid = std::to_string(self);
  EXPECT_NE(shown(finished.out)
                .find(",\"sessions\":[{\"uid\":" + uid + ",\"socket_dir\":\"S/" + uid +
                      "/muster\",\"exit_status\":0,\"report\":{\"broadcast_id\":"),
            std::string::npos)
      << finished.out;
}

TEST_F(MusterctlSessions, ThatHangAreNotPassedOver) {
  backend("host");
  Process& broker = session_broker(self);
  broker.signal(SIGSTOP);
  for (const std::vector<std::string>& quiet :
       {std::vector<std::string>{"quiesce", "--deadline", "1s"},
        {"quiesce", "--deadline", "1s", "-q"}}) {
    const Finished hung = ask(quiet);
    EXPECT_EQ(hung.status, 3);
    EXPECT_NE((hung.out + hung.err).find("muster: not asked: the broker at "), std::string::npos)
        << hung.out << hung.err;
  }
  broker.signal(SIGCONT);
}

TEST_F(MusterctlSessions, WhoseBrokerEndedInOrderAreOverWithoutAWord) {
  backend("host");
  Process& broker = session_broker(self);
  Process& indexer = session_backend(self, {"--service", "indexer"});
  indexer.end();
  broker.end(SIGTERM);
  EXPECT_FALSE(fs::exists(sessions / std::to_string(self) / "muster" / "left-running"));
  const Finished finished = ask({"quiesce"});
  EXPECT_EQ(finished.status, 0);
  EXPECT_EQ(finished.out.find("session"), std::string::npos) << finished.out;
  EXPECT_EQ(finished.err.find("session"), std::string::npos) << finished.err;
}

// Its backends live, and no broker can ask them.
TEST_F(MusterctlSessions, WhoseBrokerWasKilledAreNotPassedOver) {
  backend("host");
  Process& broker = session_broker(self);
  Process& holder = session_backend(self, {"--service", "holder"});
  broker.end(SIGKILL);
  const std::string uid = std::to_string(self);
  const std::string name = "session of U (uid " + uid + "), S/" + uid + "/muster: not asked: ";
  const std::string left =
      ": its backends may still run and were not asked: start the session's "
      "musterd again, or remove S/" +
      uid + "/muster/";
  const auto said = [&](const std::string& why) {
    const Finished finished = ask({"quiesce"});
    EXPECT_EQ(finished.status, 3) << why;
    EXPECT_NE(shown(finished.out).find(name + why + '\n'), std::string::npos) << finished.out;
    const Finished quiet = ask({"quiesce", "-q"});
    EXPECT_EQ(quiet.status, 3) << why;
    EXPECT_NE(shown(quiet.err).find("musterctl: " + name + why + '\n'), std::string::npos)
        << quiet.err;
  };
  said("the broker was killed and left its socket" + left + "control.sock");
  const Finished json = ask({"quiesce", "--json"});
  EXPECT_EQ(json.status, 3);
  EXPECT_NE(
      json.out.find("\"exit_status\":3,\"left_over\":true,\"error\":{\"code\":\"UNREACHABLE\""),
      std::string::npos)
      << json.out;
  const fs::path sockets = sessions / uid / "muster";
  fs::remove(sockets / "control.sock");
  said("the broker's control socket is gone" + left + "backend.sock");
  fs::remove(sockets / "backend.sock");
  said("the broker ended and its roster names backends" + left + "roster");
  // Its user says that the session is over.
  holder.end();
  fs::remove(sockets / "roster");
  EXPECT_EQ(ask({"quiesce"}).status, 0);
}

// With the roster elsewhere, as by default: in the directory of the sockets nothing would be left.
TEST_F(MusterctlSessions, WhoseBrokerEndedWhileABackendRanOnAreNotPassedOver) {
  backend("host");
  const std::vector<std::string> elsewhere{"--state-dir", (dir / "state").native()};
  Process& broker = session_broker(self, elsewhere);
  Process& drained = session_backend(self, {"--service", "drained"});
  Process& holder = session_backend(self, {"--service", "holder", "--on-quiesce", "reject"});
  Process& silent = session_backend(
      self, {"--service", "silent", "--on-quiesce", "silent", "--ack-timeout", "20ms"});
  broker.end(SIGTERM);
  const std::string uid = std::to_string(self);
  const fs::path sockets = sessions / uid / "muster";
  const fs::path file = sockets / "left-running";
  const auto expect_named = [&](const std::string& who) {
    const Finished finished = ask({"quiesce"});
    EXPECT_EQ(finished.status, 3);
    EXPECT_NE(finished.out.find("the broker ended while " + who +
                                ": its backends may still run and were not asked: start the "
                                "session's musterd again, or remove " +
                                file.native() + '\n'),
              std::string::npos)
        << finished.out;
  };
  const std::string holder_text = "holder 1.0.0, pid " + std::to_string(holder.pid());
  const std::string silent_text = "silent 1.0.0, pid " + std::to_string(silent.pid());
  expect_named("2 of its backends ran on (" + holder_text + "; " + silent_text + ')');
  const Finished json = ask({"quiesce", "--json"});
  EXPECT_EQ(json.status, 3);
  EXPECT_NE(json.out.find("\"left_over\":true"), std::string::npos) << json.out;
  holder.end(SIGKILL);
  expect_named("1 of its backends ran on (" + silent_text + ')');

  // The next broker knows of them by its roster, and leaves what is so at its own end.
  Process& next = session_broker(self, elsewhere);
  EXPECT_FALSE(fs::exists(file));
  silent.end(SIGKILL);
  drained.wait_for("registered");
  next.end(SIGTERM);
  EXPECT_EQ(ask({"quiesce"}).status, 0) << "nobody is left but the one that has drained";
}

TEST_F(MusterctlSessions, WhatTheirUserWritesForABrokerThatEndedIsNoYesAndNotFollowed) {
  backend("host");
  const fs::path sockets = sockets_of(self);
  const fs::path file = sockets / "left-running";
  fs::create_symlink("/etc/passwd", file);
  const Finished linked = ask({"quiesce"});
  EXPECT_EQ(linked.status, 3);
  EXPECT_NE(linked.out.find("the broker ended, and what it left cannot be read: "),
            std::string::npos)
      << linked.out;
  fs::remove(file);
  std::ofstream(file) << "muster left-running 1 x 0 0\n1 0 \x1b[2J\nend 0\n";
  const Finished forged = ask({"quiesce"});
  EXPECT_EQ(forged.status, 0) << "of another boot: " << forged.out;
  EXPECT_EQ(forged.out.find('\x1b'), std::string::npos);
}

TEST_F(MusterctlSessions, WhoseDirectoryDoesNotExistAreAnError) {
  Process& host = backend("host");
  for (const std::string name : {"none", "file", "file/x"}) {
    const fs::path wrong = sessions / name;
    if (name == "file") std::ofstream(wrong) << "x";
    const Finished finished =
        programs.ctl({"release-handles", "--sessions-dir", wrong.native(), "/usr"});
    EXPECT_EQ(finished.status, 2) << name;
    EXPECT_EQ(shown(finished.err), "musterctl: --sessions-dir: there is no directory S/" + name +
                                       ": name the one that has the sessions' runtime directories "
                                       "(/run/user)\n");
  }
  host.end();
  EXPECT_EQ(test::operations(host), "");
}

TEST_F(MusterctlSessions, OfTheHostBeingAwayIsNoSuccess) {
  session_broker(self);
  session_backend(self, {"--service", "indexer"});
  programs.broker().end();
  const Finished finished = ask({"quiesce"});
  EXPECT_EQ(finished.status, 3);
  EXPECT_NE(shown(finished.out).find("quiesce (maintenance): 1 of 1 acked in T"),
            std::string::npos);
  programs.start_broker();
}

// Root goes only where the user's own directory and socket are.
TEST_F(MusterctlSessions, ThatAreNotTheirUsersOwnAreLeftOut) {
  if (self != 0) GTEST_SKIP() << "needs root, to make files of other users";
  backend("host");
  session_broker(0);
  session_backend(0, {"--service", "no", "--on-quiesce", "reject:busy"});
  // All of these lead to that broker.
  fs::create_directory_symlink(sessions / "0", sessions / "1001");
  const fs::path other = sockets_of(1002);
  fs::remove(other);
  fs::create_directory_symlink(sessions / "0" / "muster", other);
  const fs::path stranger = sockets_of(1003);
  EXPECT_EQ(::chown(stranger.c_str(), 1004, static_cast<gid_t>(-1)), 0);
  fs::create_symlink(sessions / "0" / "muster" / "control.sock", stranger / "control.sock");
  const fs::path link = sockets_of(1005);
  fs::create_symlink(sessions / "0" / "muster" / "control.sock", link / "control.sock");
  fs::create_directories(sessions / "nobody" / "muster");
  const Finished finished = ask({"quiesce"});
  // Worse than the backend that rejects: who is there was not asked.
  EXPECT_EQ(finished.status, 3);
  EXPECT_EQ(std::regex_replace(shown(finished.out), std::regex("\\n.*"), "").substr(0, 9),
            "quiesce (");
  std::size_t reports = 0;
  for (std::size_t at = 0; (at = finished.out.find("session of", at)) != std::string::npos; ++at) {
    ++reports;
  }
  EXPECT_EQ(reports, 1u) << finished.out;
  const std::string start = "musterctl: warning: a broker of a user session is left out: S/";
  for (const std::string why : {"1001 is not a directory", "1002/muster is not a directory",
                                "1003/muster belongs to uid 1004, not to uid 1003",
                                "1005/muster/control.sock is not a socket"}) {
    EXPECT_NE(shown(finished.err).find(start + why + "\n"), std::string::npos) << finished.err;
  }
}

}  // namespace
}  // namespace muster::test
