# From the bench's JSON to what bench.gp wants to know: a line for each server, how it is drawn, and
# where its name stands.

def palette: {
  "floor": "#7d8590", "bare io_uring": "#b4a25c", "nng": "#d1782a", "ZeroMQ": "#a05fd6", "dbus-broker": "#d64f68"
};
def musterd_palette: ["#2f81f7", "#12a594", "#6a7cf0", "#3aa76d"];

# Names that stand on one another move up.
def spread($gap):
  sort_by(.y)
  | reduce .[] as $name ([];
      . + [$name + {at: ([($name.y | log10), (if length == 0 then -99 else last.at + $gap end)]
                         | max)}])
  | sort_by(.i) | map(pow(10; .at));

# How much of a panel's height a name needs.
def name_height: 0.062;

def list: map(tostring) | "[" + join(", ") + "]";
def quoted: map("'" + . + "'") | "\"" + join(" ") + "\"";

. as $all
| [.rows[] | select(.clients == "one process" and (has("skipped") | not))] as $rows
| [.subjects[].name] as $names
| ($rows | map(.n)) as $counts
| def values($member): [$rows[].figures[] | .[$member] | select(. > 0)];
  def ends($member; $gap):
    [range($names | length) as $i
     | {i: $i, y: ($rows[-1].figures[] | select(.subject == $names[$i]) | .[$member]
           | if . > 0 then . else 1e-9 end)}]
    | spread($gap);
  (values("ratio") | [min, max]) as $ratio
| (values("cpu_us_each") | [min, max]) as $cpu
| ([.subjects[] | select(.kind == "musterd") | .name]) as $musterds
| [
    "count = \($names | length)",
    "names = \($names | quoted)",
    "colors = \([.subjects[] | .name as $name
                 | palette[$name] // musterd_palette[$musterds | index($name)]] | quoted)",
    "widths = \([.subjects[] | if .kind == "musterd" then "3" else "1.6" end] | quoted)",
    "n_min = \($counts | min); n_max = \($counts | max)",
    "ratio_min = \($ratio[0] * 0.9); ratio_max = \($ratio[1] * 1.2)",
    "cpu_min = \($cpu[0] * 0.85); cpu_max = \($cpu[1] * 1.2)",
    "array ratio_at[\($names | length)] = \(ends("ratio"; ($ratio[1] / $ratio[0] | log10) * name_height) | list)",
    "array cpu_at[\($names | length)] = \(ends("cpu_us_each"; ($cpu[1] / $cpu[0] | log10) * name_height) | list)",
    "lost = \([$names[] as $name
               | ([$rows[].figures[] | select(.subject == $name) | .lost_share] | max)
               | if . > 0.01 then "loses" else "-" end] | quoted)",
    "where = \"\(.host.cores) cores, \(.host.cpu), Linux \(.host.kernel | split("-")[0]), \(.date[:10])\"",
    "$figures << EOD",
    ($names[] as $name
     | ($rows[] | .n as $n | .figures[] | select(.subject == $name)
        | "\($n) \(.ratio) \(.cpu_us_each) \(.lost_share)"), "", ""),
    "EOD"
  ] | .[]
