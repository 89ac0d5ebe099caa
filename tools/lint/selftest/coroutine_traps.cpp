// Planted for tools/lint: every line marked TRAP must be found by coroutine_traps.query, no other.
// Never compiled into anything.
#include <coroutine>
#include <exception>
#include <functional>
#include <list>
#include <string>
#include <utility>

struct Task {
  struct promise_type {
    Task get_return_object() { return {}; }
    std::suspend_never initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void return_void() {}
    void unhandled_exception() { std::terminate(); }
  };
};

struct Text {
  bool await_ready() { return true; }
  void await_suspend(std::coroutine_handle<>) {}
  std::string await_resume() { return "text"; }
};

struct Pair {
  std::string text;
  int number = 0;
};

Text take(Pair pair);
Text call(std::function<std::string()> function);
void use(const std::string& text);

Task traps(std::string text, bool flag) {
  std::string a = co_await call([text] { return text; });  // TRAP: lambda that captures
  std::string b = co_await take(Pair{text, 1});            // TRAP: aggregate made in place
  std::string c = flag ? co_await Text{} : std::string{};  // TRAP: ?: with an await in an arm
  Pair d{co_await Text{}, 1};                              // TRAP: braces around an await
  std::list<Pair> list;
  list.push_back({co_await Text{}, 1});  // TRAP: braces around an await
}

Task harmless(std::string text, bool flag) {
  auto function = [text] { return text; };
  std::string a = co_await call(std::move(function));
  Pair pair{text, 1};
  std::string b = co_await take(std::move(pair));
  std::string c;
  if (flag) c = co_await Text{};
  use(co_await Text{});
  std::string d = co_await call([] { return std::string("captures nothing"); });
}
