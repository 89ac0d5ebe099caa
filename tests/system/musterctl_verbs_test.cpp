// resume, forget and --deadline against the real broker: what they do, print and exit with.
#include <chrono>
#include <regex>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/process.h"
#include "support/test_backend.h"
#include "system/musterctl_fixture.h"

namespace muster::test {
namespace {

class MusterctlVerbs : public Musterctl {
 protected:
  // One whose connection the test ends and makes.
  [[nodiscard]] TestBackend join(const std::string& service) const {
    TestBackend backend(programs.dir() / "backend.sock");
    backend.registers(service);
    EXPECT_EQ(backend.hears(), "registered");
    return backend;
  }
  // The id of a quiesce that all of these acked.
  std::string quiesce(const std::string& select, TestBackend* acks = nullptr) {
    Process asking = programs.start({"quiesce", "-q", "--json", "--select", select});
    if (acks != nullptr) {
      EXPECT_TRUE(acks->hears().starts_with("operation "));
      acks->acks(acks->last().request_id);
    }
    EXPECT_EQ(asking.finish().status, 0);
    std::smatch id;
    const std::string report = programs.ctl({"result", "--json"}).out;
    EXPECT_TRUE(std::regex_search(report, id, std::regex("\"broadcast_id\":\"([0-9]+)\"")));
    return id[1];
  }
  [[nodiscard]] std::string backends() { return programs.ctl({"backends"}).out; }
  [[nodiscard]] static std::size_t count(const std::string& text, const std::string& what) {
    std::size_t number = 0;
    for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + 1)) ++number;
    return number;
  }
};

// --- resume

constexpr const char* kOneIsAway =
    "1\n0 backends resumed; 1 backend not connected: told to resume on reconnect\n--- stderr\n";

TEST_F(MusterctlVerbs, ResumesWhoeverOneBroadcastQuiesced) {
  Process& a = backend("a");
  Process& b = backend("b");
  const std::string first = quiesce("service=a");
  const std::string second = quiesce("service=b");
  EXPECT_EQ(count(backends(), "quiesced since"), 2u);
  EXPECT_EQ(picture(programs.ctl({"resume", first})), "0\n1 backend resumed\n--- stderr\n");
  EXPECT_EQ(a.wait_for("hold-ended"), "hold-ended " + first + " resumed");
  EXPECT_EQ(count(backends(), "quiesced since"), 1u);
  EXPECT_EQ(picture(programs.ctl({"resume", first})),
            "5\nno backend resumed: no such backend is quiesced\n--- stderr\n");
  EXPECT_EQ(picture(programs.ctl({"resume", second, "--json"})),
            "0\n{\"resumed\":1,\"cannot_resume\":0,\"away\":0,\"still_quiesced\":0}\n--- stderr\n");
  EXPECT_EQ(b.wait_for("hold-ended"), "hold-ended " + second + " resumed");
  EXPECT_EQ(count(b.end().out, "hold-ended"), 1u) << "only of its own";
}

TEST_F(MusterctlVerbs, ResumesASelection) {
  Process& hot = backend("zccache", {"--replica", "1", "--label", "tier=hot"});
  backend("zccache", {"--replica", "2", "--label", "tier=cold"});
  backend("soldr");
  const std::string id = quiesce("service=*");
  EXPECT_EQ(programs.ctl({"resume", "--select", "service=none"}).status, 5);
  EXPECT_EQ(picture(programs.ctl({"resume", "--select", "service=zcc*,label.tier=hot"})),
            "0\n1 backend resumed\n--- stderr\n");
  EXPECT_EQ(hot.wait_for("hold-ended"), "hold-ended " + id + " resumed");
  EXPECT_EQ(count(backends(), "quiesced since"), 2u);
  EXPECT_EQ(picture(programs.ctl({"resume"})), "0\n2 backends resumed\n--- stderr\n");
  EXPECT_EQ(count(backends(), "quiesced"), 0u);
}

TEST_F(MusterctlVerbs, ResumingNobodyIsAStatusOfItsOwn) {
  const std::string nobody = "\nno backend resumed: no such backend is quiesced\n--- stderr\n";
  EXPECT_EQ(picture(programs.ctl({"resume"})), "5" + nobody) << "nobody is there";
  backend("acks");
  backend("rejects", {"--on-quiesce", "reject"});
  EXPECT_EQ(picture(programs.ctl({"resume"})), "5" + nobody) << "nobody is quiesced";
  EXPECT_EQ(picture(programs.ctl({"resume", "1"})), "5" + nobody) << "no such broadcast";
  EXPECT_EQ(picture(programs.ctl({"resume", "--allow-empty", "--json"})),
            "0\n{\"resumed\":0,\"cannot_resume\":0,\"away\":0,\"still_quiesced\":0}\n--- stderr\n");
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "/x", "--select", "service=acks"}).status, 0);
  EXPECT_EQ(programs.ctl({"resume"}).status, 5) << "a release is no quiesce";
  EXPECT_EQ(programs.ctl({"quiesce", "-q"}).status, 1);
  EXPECT_EQ(picture(programs.ctl({"resume"})), "0\n1 backend resumed\n--- stderr\n")
      << "the one that rejected it is not quiesced";
}

TEST_F(MusterctlVerbs, BadWordsForAResumeAskNobody) {
  Process& a = backend("a");
  (void)quiesce("service=a");
  for (const char* id : {"x", "-1", "0x1", "99999999999999999999999"}) {
    EXPECT_EQ(programs.ctl({"resume", id}).status, 2) << id;
  }
  EXPECT_EQ(programs.ctl({"resume", "1", "--select", "service=a"}).status, 2);
  EXPECT_EQ(programs.ctl({"resume", "--select", "colour=red"}).status, 2);
  EXPECT_EQ(count(backends(), "quiesced since"), 1u);
  programs.broker().end(SIGKILL);
  EXPECT_EQ(programs.ctl({"resume"}).status, 3);
  EXPECT_EQ(count(a.end().out, "hold-ended"), 0u);
}

TEST_F(MusterctlVerbs, OfTwoQuiescesEachEndsByItsOwnId) {
  Process& a = backend("a");
  const std::string first = quiesce("service=a");
  const std::string second = quiesce("service=*");
  EXPECT_EQ(picture(programs.ctl({"resume", first})),
            "1\n0 backends resumed; 1 backend still quiesced by another broadcast (`musterctl "
            "backends` names it)\n--- stderr\n");
  EXPECT_EQ(count(backends(), "(broadcast " + second + ")"), 1u);
  EXPECT_EQ(programs.ctl({"resume", first}).status, 5) << "that one has ended";
  EXPECT_EQ(picture(programs.ctl({"resume", second})), "0\n1 backend resumed\n--- stderr\n");
  EXPECT_EQ(a.wait_for("hold-ended"), "hold-ended " + second + " resumed");
  EXPECT_EQ(count(a.end().out, "hold-ended"), 1u);
}

TEST_F(MusterctlVerbs, AQuiesceGoesOnAfterTheBrokerWasKilled) {
  TestBackend before = join("stays");
  const std::string first = quiesce("service=stays", &before);
  const std::string second = quiesce("service=stays", &before);
  backend("later");  // who is registered after it is on disk after it
  programs.broker().end(SIGKILL);
  before.closes();
  programs.start_broker();
  EXPECT_EQ(count(backends(), "quiesced since"), 1u) << "it is not back yet";
  TestBackend back = join("stays");
  EXPECT_EQ(count(backends(), "(broadcast " + second + ")"), 1u);
  EXPECT_EQ(programs.ctl({"resume", second}).status, 1);
  EXPECT_EQ(count(backends(), "(broadcast " + first + ")"), 1u);
  EXPECT_EQ(picture(programs.ctl({"resume", first})), "0\n1 backend resumed\n--- stderr\n");
  EXPECT_EQ(back.hears(), "hold " + first + " ended");
  // It is not quiesced after the next one, either.
  backend("latest");
  programs.broker().end(SIGKILL);
  back.closes();
  programs.start_broker();
  EXPECT_EQ(count(backends(), "quiesced"), 0u);
}

TEST_F(MusterctlVerbs, AResumeWhileABackendWasAwayIsToldAfterTheBrokerWasKilled) {
  TestBackend before = join("away");
  const std::string id = quiesce("service=away", &before);
  before.closes();
  programs.broker().wait_for("backend disconnected");
  EXPECT_EQ(picture(programs.ctl({"resume"})), kOneIsAway);
  backend("later");
  programs.broker().end(SIGKILL);
  programs.start_broker();
  EXPECT_EQ(count(backends(), "quiesced"), 0u);
  TestBackend back = join("away");
  EXPECT_EQ(back.hears(), "hold " + id + " ended");
}

TEST_F(MusterctlVerbs, ABackendThatIsReconnectingLearnsOfItsResumeWhenItIsBack) {
  TestBackend away = join("away");
  const std::string id = quiesce("service=away", &away);
  away.closes();
  programs.broker().wait_for("backend disconnected");
  EXPECT_EQ(picture(programs.ctl({"resume"})), kOneIsAway);
  EXPECT_EQ(programs.ctl({"resume"}).status, 5) << "once";
  TestBackend back = join("away");
  EXPECT_EQ(back.hears(), "hold " + id + " ended");
  EXPECT_EQ(count(backends(), "quiesced"), 0u);
}

TEST_F(MusterctlVerbs, ABackendThatWasLostLearnsOfItsResumeWhenItIsBack) {
  TestBackend away = join("away");
  const std::string id = quiesce("service=away", &away);
  away.closes();
  programs.broker().wait_for("backend lost");
  EXPECT_EQ(count(backends(), "quiesced since"), 1u) << "its process lives, and is quiesced";
  EXPECT_EQ(picture(programs.ctl({"resume", id})), kOneIsAway);
  TestBackend back = join("away");
  EXPECT_EQ(back.hears(), "hold " + id + " ended");
}

TEST_F(MusterctlVerbs, ABackendThatComesBackQuiescedIsStillQuiesced) {
  TestBackend away = join("away");
  const std::string id = quiesce("service=away", &away);
  away.closes();
  TestBackend back = join("away");
  EXPECT_EQ(count(backends(), "quiesced since"), 1u);
  EXPECT_EQ(programs.ctl({"resume"}).status, 0);
  EXPECT_EQ(back.hears(), "hold " + id + " ended");
}

// --- forget

TEST_F(MusterctlVerbs, ForgetsADeadBackend) {
  programs.dead_backend("dead");
  EXPECT_EQ(
      settled(first_line(programs.ctl({"quiesce"}).out)),
      "quiesce (maintenance): no backend was asked: there was no live backend; 1 dead skipped "
      "(broadcast ID)");
  EXPECT_EQ(picture(programs.ctl({"forget", "dead 1.0.0"})),
            "0\ndead 1.0.0 was forgotten\n--- stderr\n");
  EXPECT_EQ(count(backends(), "dead 1.0.0"), 0u);
  programs.dead_backend("dead");
  EXPECT_EQ(picture(programs.ctl({"forget", "dead", "--json"})),
            "0\n{\"forgotten\":\"dead 1.0.0\"}\n--- stderr\n");
  EXPECT_EQ(count(programs.ctl({"status"}).out, "0 lost, 0 dead"), 1u);
}

TEST_F(MusterctlVerbs, ForgetsALostBackendWhichThenHoldsUpNobodyAndMayComeBack) {
  backend("acks");
  TestBackend away = join("away");
  away.closes();
  programs.broker().wait_for("backend lost");
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "/x"}).status, 1) << "its process lives";
  EXPECT_EQ(picture(programs.ctl({"forget", "away"})), "0\naway 1.0.0 was forgotten\n--- stderr\n");
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "/x"}).status, 0);
  TestBackend back = join("away");
  EXPECT_EQ(count(backends(), "away 1.0.0"), 1u);
}

TEST_F(MusterctlVerbs, ALiveBackendIsNotForgotten) {
  backend("soldr", {"--replica", "r2"});
  const Finished refused = programs.ctl({"forget", "soldr 1.0.0 #r2"});
  EXPECT_EQ(picture(refused),
            "4\n--- stderr\nmusterctl: the broker refused (invalid): soldr 1.0.0 #r2 is live; only "
            "a dead or a lost backend can be forgotten\n");
  const Finished json = programs.ctl({"forget", "soldr 1.0.0 #r2", "--json"});
  EXPECT_EQ(json.status, 4);
  EXPECT_TRUE(json.out.starts_with("{\"error\":{\"code\":\"INVALID\",\"message\":\"")) << json.out;
  EXPECT_EQ(programs.ctl({"forget", "soldr"}).status, 4) << "none of that service is gone";
  TestBackend away = join("away");
  away.closes();
  programs.broker().wait_for("backend disconnected");
  EXPECT_EQ(programs.ctl({"forget", "away 1.0.0"}).status, 4) << "it may be back in a moment";
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "/x", "--select", "service=soldr"}).status, 0);
}

TEST_F(MusterctlVerbs, AKeyThatNobodyHasIsNotForgotten) {
  programs.dead_backend("dead");
  EXPECT_EQ(picture(programs.ctl({"forget", "dead 1.0.1"})),
            "4\n--- stderr\nmusterctl: the broker refused (not found): no backend has the key dead "
            "1.0.1\n");
  EXPECT_EQ(programs.ctl({"forget", "dead 1.0.0 [private:dead]"}).status, 4);
  EXPECT_EQ(programs.ctl({"forget", "none"}).status, 4);
  EXPECT_EQ(programs.ctl({"forget", "dead 1.0.0 r2"}).status, 2) << "no key";
  EXPECT_EQ(programs.ctl({"forget"}).status, 2);
  EXPECT_EQ(count(backends(), "dead 1.0.0"), 1u);
  EXPECT_EQ(programs.ctl({"forget", "-q", "dead 1.0.0"}).out, "");
  programs.broker().end(SIGKILL);
  EXPECT_EQ(programs.ctl({"forget", "dead 1.0.0"}).status, 3);
}

// --- --deadline

TEST_F(MusterctlVerbs, AtTheDeadlineWhoeverExtendsForEverHasTimedOut) {
  backend("acks");
  Process& works = backend("works", {"--on-release", "work-forever:1m"});
  const auto begin = std::chrono::steady_clock::now();
  const Finished finished = programs.ctl({"release-handles", "/x", "--deadline", "300ms"});
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(300));
  EXPECT_EQ(finished.status, 1);
  EXPECT_EQ(
      settled(finished.out),
      "release-handles /x: 1 of 2 acked in T (broadcast ID)\n"
      "  timed out   works 1.0.0 (pid P, uid U): no answer when the deadline of the broadcast "
      "passed, after T; last said \"no end in sight\"\n"
      "`musterctl result ID --json` has every detail\n");
  EXPECT_NE(works.wait_for("cancelled"), "");
  const std::string report = programs.ctl({"result", "--json"}).out;
  EXPECT_EQ(count(report, "\"outcome\":\"TIMEOUT\""), 1u) << report;
  EXPECT_EQ(count(report, "\"said_by\":\"BROKER\",\"cause\":\"DEADLINE\""), 1u) << report;
}

TEST_F(MusterctlVerbs, TheDeadlineBoundsSilenceAndWhatIsDetachedToo) {
  backend("silent", {"--on-quiesce", "silent"});
  backend("works", {"--on-quiesce", "work-forever:1m"});
  EXPECT_EQ(programs.ctl({"quiesce", "-q", "--timeout", "1m", "--deadline", "50ms"}).status, 1);
  const Finished json = programs.ctl({"quiesce", "--json", "--deadline", "50ms"});
  EXPECT_EQ(json.status, 1);
  EXPECT_EQ(count(json.out, "\"outcome\":\"TIMEOUT\""), 2u) << json.out;
  const std::string id =
      first_line(programs.ctl({"quiesce", "--detach", "--deadline", "50ms"}).out);
  EXPECT_EQ(programs.ctl({"result", id, "--wait", "-q"}).status, 1);
  EXPECT_EQ(programs.ctl({"resume"}).status, 5) << "who timed out is not quiesced";
}

TEST_F(MusterctlVerbs, WhoeverAnswersBeforeTheDeadlineAcked) {
  backend("works", {"--on-release", "work:20ms:3"});
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "/x", "--deadline", "1m"}).status, 0);
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "/x", "--deadline", "0"}).status, 2);
  EXPECT_EQ(programs.ctl({"release-handles", "-q", "/x", "--deadline", "5"}).status, 2)
      << "a number is no duration";
}

}  // namespace
}  // namespace muster::test
