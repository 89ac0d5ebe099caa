// Who a backend is: instances, keys, semantic versions.
#include <set>
#include <string>

#include <gtest/gtest.h>

#include "muster/backend_key.h"

namespace muster {
namespace {

BackendKey good_key() { return {Instance::shared(), "zccache", "1.4.2", ""}; }

BackendKey with(std::string BackendKey::*field, std::string value) {
  auto key = good_key();
  key.*field = std::move(value);
  return key;
}

BackendKey with(Instance instance) {
  auto key = good_key();
  key.instance = std::move(instance);
  return key;
}

std::string bytes(std::size_t count, char c = 'a') { return std::string(count, c); }

TEST(InstanceTest, IsSharedPrivateOrExplicit) {
  EXPECT_EQ(Instance().kind(), Instance::Kind::kShared);
  EXPECT_EQ(Instance(), Instance::shared());
  EXPECT_EQ(Instance::shared().to_string(), "shared");
  EXPECT_EQ(Instance::private_to("soldr").to_string(), "private:soldr");
  EXPECT_EQ(Instance::explicitly("blue").to_string(), "explicit:blue");
  EXPECT_EQ(Instance::private_to("soldr").name(), "soldr");
  EXPECT_NE(Instance::private_to("x"), Instance::explicitly("x"));
}

TEST(InstanceTest, ReadsWhatItWrites) {
  for (const auto& instance : {Instance::shared(), Instance::private_to("soldr"),
                               Instance::explicitly("a:b"), Instance::private_to("")}) {
    EXPECT_EQ(Instance::parse(instance.to_string()), instance) << instance.to_string();
  }
  EXPECT_EQ(Instance::parse(""), Instance::shared());
  for (const auto* text :
       {"Shared", "shared ", "private", "explicit", "other:x", ":x", "privat:e"}) {
    EXPECT_EQ(Instance::parse(text), std::nullopt) << text;
  }
}

TEST(BackendKeyTest, GoodKeysHaveNoProblem) {
  for (const auto& key :
       {good_key(), with(&BackendKey::service_name, "a"),
        with(&BackendKey::service_name, bytes(64)), with(&BackendKey::service_name, "-0-"),
        with(&BackendKey::replica, "A-z_0.9:x"), with(&BackendKey::replica, bytes(64)),
        with(&BackendKey::service_version, "1.0.0-" + bytes(58)),
        with(&BackendKey::service_version, "1.0.0-rc.1+build.7"),
        with(Instance::private_to("soldr")), with(Instance::explicitly("Blue_2")),
        with(Instance::explicitly(bytes(64)))}) {
    EXPECT_EQ(key.problem(), std::nullopt) << key.to_string();
  }
}

TEST(BackendKeyTest, ABadPartIsNamedWithWhatWouldBeRight) {
  struct Case {
    BackendKey key;
    std::string part;
  };
  const std::string nul("a\0b", 3);
  for (const auto& [key, part] : {
           Case{with(&BackendKey::service_name, ""), "service name"},
           Case{with(&BackendKey::service_name, bytes(65)), "service name"},
           Case{with(&BackendKey::service_name, "Upper"), "service name"},
           Case{with(&BackendKey::service_name, "a b"), "service name"},
           Case{with(&BackendKey::service_name, "a_b"), "service name"},
           Case{with(&BackendKey::service_name, "a.b"), "service name"},
           Case{with(&BackendKey::service_name, "\xc3\xa4"), "service name"},
           Case{with(&BackendKey::service_name, nul), "service name"},
           Case{with(&BackendKey::service_version, ""), "service version"},
           Case{with(&BackendKey::service_version, "1.0"), "service version"},
           Case{with(&BackendKey::service_version, "v1.0.0"), "service version"},
           Case{with(&BackendKey::service_version, "1.0.0-" + bytes(59)), "service version"},
           Case{with(&BackendKey::replica, bytes(65)), "replica"},
           Case{with(&BackendKey::replica, "a/b"), "replica"},
           Case{with(&BackendKey::replica, nul), "replica"},
           Case{with(Instance::private_to("")), "instance"},
           Case{with(Instance::private_to("Upper")), "instance"},
           Case{with(Instance::private_to(bytes(65))), "instance"},
           Case{with(Instance::explicitly("")), "instance"},
           Case{with(Instance::explicitly("a b")), "instance"},
           Case{with(Instance::explicitly(bytes(65))), "instance"},
       }) {
    const auto problem = key.problem();
    ASSERT_TRUE(problem) << key.to_string();
    EXPECT_NE(problem->find("the " + part), std::string::npos) << *problem;
    EXPECT_EQ(problem->find('\0'), std::string::npos) << *problem;
    EXPECT_LT(problem->size(), 400u) << "what a peer sent is cut";
  }
}

TEST(BackendKeyTest, WhatAPeerSentIsShownHarmlessly) {
  const auto problem = with(&BackendKey::service_name, "a\x1b[31m\n\"\\").problem();
  ASSERT_TRUE(problem);
  EXPECT_EQ(
      *problem,
      "the service name \"a\\x1b[31m\\x0a\\\"\\\\\" is not 1 to 64 of the characters a-z, 0-9 "
      "and -");
  const auto huge = with(&BackendKey::service_name, bytes(100'000, 'X')).problem();
  ASSERT_TRUE(huge);
  EXPECT_NE(huge->find("..."), std::string::npos);
}

TEST(BackendKeyTest, IsShownWithoutItsDefaults) {
  auto key = good_key();
  EXPECT_EQ(key.to_string(), "zccache 1.4.2");
  key.instance = Instance::private_to("soldr");
  EXPECT_EQ(key.to_string(), "zccache 1.4.2 [private:soldr]");
  key.replica = "2";
  EXPECT_EQ(key.to_string(), "zccache 1.4.2 [private:soldr] #2");
}

TEST(BackendKeyTest, EveryPartTellsKeysApart) {
  const std::vector<BackendKey> keys = {good_key(),
                                        with(&BackendKey::service_name, "other"),
                                        with(&BackendKey::service_version, "1.4.3"),
                                        with(&BackendKey::replica, "two"),
                                        with(Instance::private_to("x")),
                                        with(Instance::explicitly("x")),
                                        with(Instance::explicitly("y"))};
  std::set<std::size_t> hashes;
  for (const auto& left : keys) {
    hashes.insert(BackendKeyHash()(left));
    for (const auto& right : keys) EXPECT_EQ(left == right, &left == &right);
  }
  EXPECT_EQ(hashes.size(), keys.size());
  EXPECT_EQ(BackendKeyHash()(good_key()), BackendKeyHash()(good_key()));
}

TEST(BackendKeyTest, TheSameTextInAnotherPartIsAnotherHash) {
  const BackendKey left{Instance::shared(), "a", "b", "c"};
  const BackendKey right{Instance::shared(), "c", "b", "a"};
  EXPECT_NE(BackendKeyHash()(left), BackendKeyHash()(right));
}

// The lists of semver.org's page on the regular expression.
TEST(SemanticVersionTest, TheGoodOnesAreTaken) {
  for (const auto* text : {"0.0.4",
                           "1.2.3",
                           "10.20.30",
                           "1.1.2-prerelease+meta",
                           "1.1.2+meta",
                           "1.1.2+meta-valid",
                           "1.0.0-alpha",
                           "1.0.0-beta",
                           "1.0.0-alpha.beta",
                           "1.0.0-alpha.beta.1",
                           "1.0.0-alpha.1",
                           "1.0.0-alpha0.valid",
                           "1.0.0-alpha.0valid",
                           "1.0.0-alpha-a.b-c-somethinglong+build.1-aef.1-its-okay",
                           "1.0.0-rc.1+build.1",
                           "2.0.0-rc.1+build.123",
                           "1.2.3-beta",
                           "10.2.3-DEV-SNAPSHOT",
                           "1.2.3-SNAPSHOT-123",
                           "1.0.0",
                           "2.0.0",
                           "1.1.7",
                           "2.0.0+build.1848",
                           "2.0.1-alpha.1227",
                           "1.0.0-alpha+beta",
                           "1.2.3----RC-SNAPSHOT.12.9.1--.12+788",
                           "1.2.3----R-S.12.9.1--.12+meta",
                           "1.2.3----RC-SNAPSHOT.12.9.1--.12",
                           "1.0.0+0.build.1-rc.10000aaa-kk-0.1",
                           "99999999999999999999999.999999999999999999.99999999999999999",
                           "1.0.0-0A.is.legal",
                           "0.0.0",
                           "1.0.0-0",
                           "1.0.0+001",
                           "1.0.0--"}) {
    EXPECT_TRUE(is_semantic_version(text)) << text;
  }
}

TEST(SemanticVersionTest, TheBadOnesAreNot) {
  for (const auto* text :
       {"1",
        "1.2",
        "1.2.3-0123",
        "1.2.3-0123.0123",
        "1.1.2+.123",
        "+invalid",
        "-invalid",
        "-invalid+invalid",
        "-invalid.01",
        "alpha",
        "alpha.beta",
        "alpha.beta.1",
        "alpha.1",
        "alpha+beta",
        "alpha_beta",
        "alpha.",
        "alpha..",
        "beta",
        "1.0.0-alpha_beta",
        "-alpha.",
        "1.0.0-alpha..",
        "1.0.0-alpha..1",
        "1.0.0-alpha...1",
        "1.0.0-alpha....1",
        "1.0.0-alpha.....1",
        "1.0.0-alpha......1",
        "1.0.0-alpha.......1",
        "01.1.1",
        "1.01.1",
        "1.1.01",
        "1.2.3.DEV",
        "1.2-SNAPSHOT",
        "1.2.31.2.3----RC-SNAPSHOT.12.09.1--..12+788",
        "1.2-RC-SNAPSHOT",
        "-1.0.3-gamma+b7718",
        "+justmeta",
        "9.8.7+meta+meta",
        "9.8.7-whatever+meta+meta",
        "99999999999999999999999.999999999999999999.99999999999999999----RC-SNAPSHOT.12.09.1"
        "--------------------------------..12",
        "",
        ".",
        "..",
        "...",
        "1..",
        "1.2.",
        ".1.2",
        "1.2.3.",
        "1.2.3-",
        "1.2.3+",
        "1.2.3-+",
        "1.2.3-a+",
        "1.2.3-.a",
        "1.2.3-a.",
        " 1.2.3",
        "1.2.3 ",
        "1.2.3\n",
        "v1.2.3",
        "+1.2.3",
        "1.2.3-\xc3\xa4",
        "1.-2.3",
        "00.0.0",
        "1.2.3-00",
        "0x1.2.3",
        "1,2,3"}) {
    EXPECT_FALSE(is_semantic_version(text)) << text;
  }
  EXPECT_FALSE(is_semantic_version(std::string_view("1.2.3\0", 6)));
  EXPECT_FALSE(is_semantic_version(std::string_view("1.\0.3", 5)));
}

}  // namespace
}  // namespace muster
