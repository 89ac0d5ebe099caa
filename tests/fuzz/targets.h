// What is fuzzed: one function a target, which takes any bytes and throws Broken, or dies, when a
// promise does not hold.
//
// libFuzzer drives each as a program of its own (preset "fuzz", ./dev fuzz); the component tests
// replay corpora and regressions through the same functions in every build.
#pragma once

#include <array>
#include <stdexcept>
#include <string_view>

namespace muster::fuzz {

struct Broken : std::logic_error {
  using std::logic_error::logic_error;
};

inline void must(bool holds, const char* promise) {
  if (!holds) throw Broken(promise);
}

void framing(std::string_view input);
void paths(std::string_view input);
void selectors(std::string_view input);
void values(std::string_view input);
void policy(std::string_view input);
void config(std::string_view input);
void backend_lane(std::string_view input);
void control_lane(std::string_view input);
void backend_sdk(std::string_view input);
void control_answers(std::string_view input);
void scan_lane(std::string_view input);

struct Target {
  const char* name;  // of its folders: corpus/NAME, regressions/NAME
  void (*run)(std::string_view);
};
inline constexpr std::array kTargets{
    Target{"framing", framing},
    Target{"paths", paths},
    Target{"selectors", selectors},
    Target{"values", values},
    Target{"policy", policy},
    Target{"config", config},
    Target{"backend_lane", backend_lane},
    Target{"control_lane", control_lane},
    Target{"backend_sdk", backend_sdk},
    Target{"control_answers", control_answers},
    Target{"scan_lane", scan_lane},
};

}  // namespace muster::fuzz
