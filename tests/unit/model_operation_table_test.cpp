// The table of operations, and that everybody who treats operations differently reads it: what is
// not the one operation is never taken for another.
#include <algorithm>
#include <set>
#include <string>
#include <vector>

#include <google/protobuf/descriptor.h>
#include <gtest/gtest.h>

#include "core/broker.h"
#include "model/operation_table.h"
#include "musterctl/program.h"
#include "musterd/control/control_access.h"
#include "sdk/handler_queue.h"
#include "support/keeping_shell.h"
#include "wire/control_lane.h"
#include "wire/schema.h"

namespace muster {
namespace {

std::vector<BroadcastOperation> one_of_each() {
  return {BroadcastOperation::release_handles("/cache"),
          BroadcastOperation::quiesce(QuiesceReason::kMaintenance),
          BroadcastOperation::preflight(ReleaseHandles{"/cache", {}})};
}

TEST(OperationTable, HasARowForEachOperationAndNoneForTheUnknownOne) {
  const auto operations = one_of_each();
  ASSERT_EQ(operations.size(), BroadcastOperation::kKnown);
  for (const BroadcastOperation& operation : operations) {
    const OperationRow* row = row_of(operation.kind());
    ASSERT_NE(row, nullptr);
    EXPECT_EQ(row->kind, operation.kind());
    EXPECT_EQ(operation.to_string().substr(0, row->name.size()), row->name);
  }
  EXPECT_EQ(row_of(OperationKind::kUnknown), nullptr);
  EXPECT_EQ(row_of(static_cast<OperationKind>(200)), nullptr);
  EXPECT_EQ(BroadcastOperation::unknown().kind(), OperationKind::kUnknown);
  EXPECT_EQ(BroadcastOperation::unknown().to_string(), "an unknown operation");
}

TEST(OperationTable, SaysWhatPolicyMustAllow) {
  EXPECT_EQ(row_of(OperationKind::kReleaseHandles)->action, ControlAction::kRelease);
  EXPECT_EQ(row_of(OperationKind::kQuiesce)->action, ControlAction::kQuiesce);
  EXPECT_EQ(row_of(OperationKind::kPreflight)->action, std::nullopt);
  EXPECT_EQ(action_of(BroadcastOperation::release_handles("/a")), ControlAction::kRelease);
  EXPECT_EQ(action_of(BroadcastOperation::quiesce(QuiesceReason::kMaintenance)),
            ControlAction::kQuiesce);
  EXPECT_EQ(action_of(BroadcastOperation::preflight(ReleaseHandles{"/a", {}})),
            ControlAction::kRelease);
  EXPECT_EQ(action_of(BroadcastOperation::preflight(Quiesce{})), ControlAction::kQuiesce);
  EXPECT_EQ(action_of(BroadcastOperation::unknown()), std::nullopt);
  std::string words;
  for (const ActionRow& row : all_actions()) words.append(row.word).append(" ");
  EXPECT_EQ(words, "look release quiesce cancel inspect hold ");
}

TEST(OperationTable, NamesTheFieldsOfTheSchema) {
  std::set<std::string> fields;
  for (const OperationRow& row : all_operations()) fields.insert(std::string(row.field));
  for (const char* message : {"Operation", "StartBroadcast", "ReportedOperation"}) {
    const auto* type = wire::schema().FindMessageTypeByName("muster.v1." + std::string(message));
    ASSERT_NE(type, nullptr) << message;
    const auto* oneof = type->FindOneofByName("operation");
    ASSERT_NE(oneof, nullptr) << message;
    std::set<std::string> of_schema;
    for (int i = 0; i < oneof->field_count(); ++i) of_schema.insert(oneof->field(i)->name());
    EXPECT_EQ(of_schema, fields) << message;
  }
}

// Whoever asks whether it is a release or a quiesce must not take a preflight for one.
TEST(OperationTable, APreflightIsNeitherAReleaseNorAQuiesce) {
  const auto release = BroadcastOperation::release_handles("/srv/cache", "/cache");
  const auto quiesce = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  for (const BroadcastOperation& real : {release, quiesce}) {
    const auto preflight = BroadcastOperation::preflight_of(real);
    EXPECT_TRUE(preflight.is_preflight());
    EXPECT_FALSE(real.is_preflight());
    EXPECT_EQ(preflight.as_release_handles(), nullptr);
    EXPECT_EQ(preflight.as_quiesce(), nullptr);
    EXPECT_FALSE(preflight == real);
    EXPECT_EQ(preflight.real(), real);
    EXPECT_EQ(real.real(), real);
    EXPECT_EQ(preflight.about_release() != nullptr, real.as_release_handles() != nullptr);
    EXPECT_EQ(preflight.about_quiesce() != nullptr, real.as_quiesce() != nullptr);
    EXPECT_EQ(preflight.to_string(), "preflight of " + real.to_string());
    EXPECT_TRUE(BroadcastOperation::preflight_of(preflight).is_unknown()) << "of a preflight";
  }
  EXPECT_EQ(BroadcastOperation::preflight_of(release).about_release()->alias, "/cache");
  EXPECT_TRUE(BroadcastOperation::preflight_of(BroadcastOperation::unknown()).is_unknown());
}

TEST(OperationTable, EachOperationIsACommandOfItsName) {
  std::vector<std::string> names;
  for (const auto& command : ctl::operation_commands()) names.push_back(command->name());
  EXPECT_EQ(names, (std::vector<std::string>{"release-handles", "quiesce"}));
}

TEST(OperationTable, APreflightIsOfTheKindThatItAsksAbout) {
  for (const BroadcastOperation& operation : one_of_each()) {
    EXPECT_EQ(operation.real_kind(), operation.real().kind()) << operation.to_string();
  }
  EXPECT_EQ(BroadcastOperation::unknown().real_kind(), OperationKind::kUnknown);
}

TEST(OperationTable, AHandlerGetsItsOwnOperationOnly) {
  for (const OperationRow& row : all_operations()) {
    BackendHandlers handlers;
    handlers.on(row.kind) = [](Request&) {};
    for (const BroadcastOperation& operation : one_of_each()) {
      EXPECT_EQ(handlers.find(operation.kind()) != nullptr, operation.kind() == row.kind)
          << operation.to_string() << " with a handler for " << row.name;
    }
    EXPECT_EQ(handlers.find(OperationKind::kUnknown), nullptr);
  }
  EXPECT_THROW(static_cast<void>(BackendHandlers().on(OperationKind::kUnknown)), std::out_of_range);
}

TEST(OperationTable, PolicyIsAskedForTheOperationsOwnAction) {
  const auto asked = [](const BroadcastOperation& operation, bool verify = false,
                        bool with_hold = false) {
    wire::StartBroadcast start;
    start.request.operation = operation;
    start.request.verify = verify;
    if (with_hold) start.request.hold = HoldRequest{true, std::nullopt};
    std::string path;
    std::string acts;
    for (const core::ControlAct& act : daemon::acts_of(start, path)) acts += act.to_string() + ';';
    return acts;
  };
  const auto release = BroadcastOperation::release_handles("/a//b");
  const auto quiesce = BroadcastOperation::quiesce(QuiesceReason::kMaintenance);
  EXPECT_EQ(asked(release), "release /a/b;");
  EXPECT_EQ(asked(release, true), "release /a/b;inspect;");
  EXPECT_EQ(asked(release, false, true), "release /a/b;hold;");
  EXPECT_EQ(asked(release, true, true), "release /a/b;inspect;hold;");
  EXPECT_EQ(asked(quiesce), "quiesce;");
  EXPECT_EQ(asked(quiesce, false, true), "quiesce;hold;");
  EXPECT_EQ(asked(BroadcastOperation::unknown()), "look;");
  // Who may not do it may not ask either, nor under another name of the path.
  EXPECT_EQ(asked(BroadcastOperation::preflight_of(release)), "release /a/b;");
  EXPECT_EQ(asked(BroadcastOperation::preflight_of(quiesce)), "quiesce;");
  wire::StartBroadcast alias;
  alias.request.operation = BroadcastOperation::preflight(ReleaseHandles{"/srv", "/x/../y"});
  EXPECT_EQ(daemon::alias_of(alias), "/y");
}

TEST(OperationTable, AnOperationIsMadeNormalOrSaysWhyNot) {
  const auto made = [](BroadcastOperation operation) {
    const BroadcastOperation before = operation;
    std::string problem = normalize(operation);
    if (!problem.empty()) {
      EXPECT_EQ(operation, before);
      return problem;
    }
    std::string all = operation.to_string();
    for (const std::string_view text : texts_of(operation)) all += " \"" + std::string(text) + '"';
    return all;
  };
  EXPECT_EQ(made(BroadcastOperation::release_handles("/a//b/", "/x/../y")),
            "release-handles /a/b \"/a/b\" \"/y\"");
  EXPECT_EQ(made(BroadcastOperation::release_handles("/a", "/a/.")),
            "release-handles /a \"/a\" \"\"");
  EXPECT_EQ(made(BroadcastOperation::release_handles("a")),
            "the path \"a\" is relative; give an absolute one, like /a");
  EXPECT_EQ(made(BroadcastOperation::release_handles("/a", "b")),
            "the alias: the path \"b\" is relative; give an absolute one, like /b");
  EXPECT_EQ(made(BroadcastOperation::quiesce(QuiesceReason::kMaintenance)),
            "quiesce (maintenance) \"\" \"\"");
  EXPECT_EQ(made(BroadcastOperation::preflight(ReleaseHandles{"/a//b/", "/x/../y"})),
            "preflight of release-handles /a/b \"/a/b\" \"/y\"");
  EXPECT_EQ(made(BroadcastOperation::preflight(ReleaseHandles{"a", {}})),
            "the path \"a\" is relative; give an absolute one, like /a");
  EXPECT_EQ(made(BroadcastOperation::preflight(Quiesce{})),
            "preflight of quiesce (maintenance) \"\" \"\"");
  EXPECT_EQ(made(BroadcastOperation::unknown()), unknown_operation_problem());
}

TEST(OperationTable, ARequestThatChoosesNoOperationAsksNobody) {
  test::KeepingShell shell;
  core::Broker broker{{}, shell};
  const core::Now now{core::SteadyTime(std::chrono::hours(1)), 1000};
  const auto started = broker.start_broadcast(BroadcastRequest(), now);
  ASSERT_TRUE(std::holds_alternative<ControlError>(started));
  EXPECT_EQ(
      std::get<ControlError>(started).message,
      "the operation is missing or not known: it must be release_handles, quiesce or preflight");
  EXPECT_TRUE(std::holds_alternative<ControlError>(broker.dry_run(BroadcastRequest(), now)));

  // On the wire, too.
  wire::ControlRequestDecoder decoder;
  wire::ControlRequestFrame frame;
  const std::string bytes = wire::encode(wire::ControlRequestFrame{1, wire::StartBroadcast{}});
  EXPECT_EQ(
      decoder.decode(std::string_view(bytes).substr(wire::kHeaderBytes), frame),
      "the operation is missing or not known: it must be release_handles, quiesce or preflight");
}

}  // namespace
}  // namespace muster
