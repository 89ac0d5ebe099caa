#include "musterctl/options.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <CLI/App.hpp>
#include <CLI/Config.hpp>
#include <CLI/Formatter.hpp>

#include "musterctl/duration.h"

namespace muster::ctl {
namespace {

CLI::callback_t calling(const std::string& name, Options::Reader reader) {
  return [name, read = std::move(reader)](const CLI::results_t& values) {
    for (const std::string& value : values) {
      const std::string problem = read(value);
      if (!problem.empty()) throw CLI::ValidationError(name, problem);
    }
    return true;
  };
}

// "--quiet" of "-q,--quiet".
std::string long_name(const std::string& names) { return names.substr(names.find("--")); }

constexpr std::size_t kOptionColumns = 24;
constexpr std::size_t kTextColumns = 72;

// Breaks lines between words.
std::string wrapped(const std::string& text) {
  std::string out;
  std::size_t column = 0;
  for (std::size_t at = 0; at < text.size();) {
    const std::size_t end = std::min(text.find(' ', at), text.size());
    const std::size_t size = end - at;
    if (column > 0 && column + 1 + size > kTextColumns) {
      out += '\n';
      column = 0;
    } else if (column > 0) {
      out += ' ';
      ++column;
    }
    out.append(text, at, size);
    column += size;
    at = end + 1;
  }
  return out;
}

// As in a manual page: a name, what it takes, wrapped text. What excludes what is said when it
// matters, by the error.
class HelpFormatter : public CLI::Formatter {
 public:
  HelpFormatter() {
    column_width(kOptionColumns);
    label("SUBCOMMAND", "COMMAND");
    label("Positionals", "Arguments");
  }
  std::string make_option_opts(const CLI::Option* option) const override {
    return option->get_type_name().empty() ? "" : ' ' + option->get_type_name();
  }
  std::string make_option_desc(const CLI::Option* option) const override {
    return wrapped(option->get_description());
  }
};

}  // namespace

void Options::flag(const std::string& names, const std::string& help, bool& into) {
  app_.add_flag(names, into, help);
}

void Options::value(const std::string& names, const std::string& meta, const std::string& help,
                    Reader reader, bool repeatable) {
  CLI::Option* option = app_.add_option(names, calling(long_name(names), std::move(reader)), help);
  option->type_name(meta)->type_size(1);
  if (repeatable) {
    option->expected(1, CLI::detail::expected_max_vector_size)->allow_extra_args(false);
  } else {
    option->expected(1);
  }
}

void Options::duration(const std::string& names, const std::string& help,
                       std::optional<std::chrono::milliseconds>& into) {
  value(names, "DURATION", help, [&into](const std::string& text) {
    ParsedDuration parsed = parse_duration(text);
    into = parsed.value;
    return std::move(parsed.problem);
  });
}

void Options::argument(const std::string& name, const std::string& help, bool required,
                       Reader reader) {
  app_.add_option(name, calling(name, std::move(reader)), help)
      ->type_name("")
      ->type_size(1)
      ->expected(1)
      ->required(required);
}

void Options::exclude(const std::string& one, const std::string& other) {
  app_.get_option(one)->excludes(app_.get_option(other));
}

void set_help_style(CLI::App& app) { app.formatter(std::make_shared<HelpFormatter>()); }

void Options::epilogue(const std::string& text) { app_.footer(text); }

}  // namespace muster::ctl
