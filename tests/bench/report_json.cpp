#include "bench/report_json.h"

#include "bench/frames.h"
#include "bench/json_writer.h"
#include "bench/table.h"

namespace muster::bench {
namespace {

const char* name_of(SubjectSpec::Kind kind) {
  switch (kind) {
    case SubjectSpec::Kind::kFloor:
      return "floor";
    case SubjectSpec::Kind::kMusterd:
      return "musterd";
    case SubjectSpec::Kind::kOther:
      return "other";
    case SubjectSpec::Kind::kYardstick:
      return "yardstick";
  }
  return "";
}

void put(JsonWriter& json, const Host& host) {
  json.key("host").begin_object();
  json.member("kernel", host.kernel).member("machine", host.machine).member("cpu", host.cpu);
  json.member("cores", host.cores).member("load", host.load);
  json.member("descriptor_limit", host.descriptor_limit).end();
}

void put(JsonWriter& json, const Figures& figures) {
  json.begin_object().member("subject", figures.subject);
  json.member("median_ms", figures.median_ms).member("p99_ms", figures.p99_ms);
  json.member("ratio", figures.ratio);
  json.member("cpu_us_each", figures.cpu_us).member("cpu_ratio", figures.cpu_ratio);
  json.member("idle_bytes_each", figures.idle_bytes);
  json.member("registrations_per_s", figures.registrations);
  json.member("with_result_ms", figures.operator_ms);
  json.member("lost_share", figures.lost_share);
  json.member("rounds", figures.rounds).end();
}

void put(JsonWriter& json, const Row& row) {
  json.begin_object().member("clients", name_of(row.options.mode)).member("n", row.options.count);
  if (row.skipped.empty()) {
    json.member("repetitions", row.options.repetitions).member("turns", row.options.turns);
    json.key("figures").begin_array();
    for (const Figures& figures : row.figures) put(json, figures);
    json.end();
  } else {
    json.member("skipped", row.skipped);
  }
  json.end();
}

void put_facts(JsonWriter& json, const Results& results) {
  json.member("schema", kJsonSchema).member("date", results.host.date);
  put(json, results.host);
  json.key("payload").begin_object();
  json.member("request_bytes", sample_operation_frame().size());
  json.member("answer_bytes", AckWriter().write(kSampleId).size()).end();

  json.key("subjects").begin_array();
  for (const SubjectFacts& subject : results.subjects) {
    json.begin_object().member("name", subject.name).member("kind", name_of(subject.kind));
    json.member("version", subject.version).member("transport", subject.transport).end();
  }
  json.end().key("left_out").begin_array();
  for (const LeftOut& each : results.left_out) {
    json.begin_object().member("what", each.what).member("why", each.why).end();
  }
  json.end();
}

}  // namespace

std::string to_json(const Results& results, const std::vector<Aim>& aims) {
  JsonWriter json;
  json.begin_object();
  put_facts(json, results);
  json.key("rows").begin_array();
  for (const Row& row : results.rows) put(json, row);
  json.end().key("growth").begin_array();
  for (const Growth& growth : growth_of(results.rows)) {
    json.begin_object().member("subject", growth.subject);
    json.member("median", growth.median).member("cpu", growth.cpu).end();
  }
  json.end().key("scenarios").begin_array();
  for (const ScenarioResult& result : results.scenarios) {
    json.begin_object().member("scenario", result.scenario).member("subject", result.subject);
    for (const Measurement& each : result.measurements) json.member(each.name, each.value);
    json.end();
  }
  json.end().key("aims").begin_array();
  for (const Aim& aim : aims) {
    json.begin_object().member("what", aim.what).member("subject", aim.subject);
    json.member("aim", aim.bound_text()).member("unit", aim.unit);
    json.member("verdict", name_of(aim.verdict()));
    if (aim.measured) json.member("measured", *aim.measured);
    json.end();
  }
  return json.end().end().take();
}

}  // namespace muster::bench
