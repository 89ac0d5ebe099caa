// What each tool says of a file that is in use in one way or another: a table in Markdown, made by
// running all of them. `./dev holders` prints it.
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <fcntl.h>
#include <filesystem>
#include <fstream>
#include <functional>
#include <linux/loop.h>
#include <sstream>
#include <stdexcept>
#include <string>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/swap.h>
#include <unistd.h>
#include <vector>

#include "support/child.h"
#include "support/file_holding.h"
#include "support/host_abilities.h"
#include "support/process.h"
#include "support/temp_dir.h"

namespace muster::test {
namespace {

namespace fs = std::filesystem;

struct Row {
  std::string title;
  std::string why_not;                           // not empty: it cannot be made here
  std::function<void(const std::string&)> hold;  // in a child
  std::function<void(const std::string&)> end;   // here, before the child ends; may be empty
  std::string kernel;  // not empty: the kernel holds it, and this word tells so
};

std::string output_of(const std::string& command) {
  std::string text;
  FILE* const pipe = ::popen(("exec 2>&1 < /dev/null; timeout 60 " + command).c_str(), "r");
  if (pipe == nullptr) throw std::runtime_error("cannot run " + command);
  std::array<char, 4096> part{};
  while (const std::size_t size = std::fread(part.data(), 1, part.size(), pipe)) {
    text.append(part.data(), size);
  }
  ::pclose(pipe);
  return text;
}

bool is_installed(const std::string& tool) {
  return !output_of("sh -c 'command -v " + tool + "'").empty();
}

// Whether a line has that word, and the other text.
bool says(const std::string& output, const std::string& word, const std::string& text = {}) {
  std::istringstream lines(output);
  for (std::string line; std::getline(lines, line);) {
    if (line.find(text) == std::string::npos) continue;
    std::istringstream words(line);
    for (std::string one; words >> one;) {
      if (one == word) return true;
    }
  }
  return false;
}

std::string answer_of_musterctl(const std::string& json, const std::string& pid,
                                const std::string& kernel) {
  const std::string whom = kernel.empty() ? "{\"pid\":" + pid + ',' : kernel;
  const auto begin = json.find(whom);
  if (begin == std::string::npos) return "no";
  const auto possibly = json.find("\"possibly\":", begin);
  return json.compare(possibly, 15, "\"possibly\":true") == 0 ? "possibly" : "yes";
}

void put_on_a_loop_device(const std::string& directory) {
  const std::string path = directory + "/image";
  const int image = must_open(path, O_RDWR);
  must(::ftruncate(image, 1024 * 1024), "ftruncate");
  const int control = must(::open("/dev/loop-control", O_RDWR | O_CLOEXEC), "/dev/loop-control");
  const int number = must(::ioctl(control, LOOP_CTL_GET_FREE), "loop");
  const std::string name = "/dev/loop" + std::to_string(number);
  const int device = must(::open(name.c_str(), O_RDWR | O_CLOEXEC), name);
  loop_config config{};
  config.fd = static_cast<__u32>(image);
  config.info.lo_flags = LO_FLAGS_AUTOCLEAR;  // when the child ends
  path.copy(reinterpret_cast<char*>(config.info.lo_file_name), LO_NAME_SIZE - 1);
  must(::ioctl(device, LOOP_CONFIGURE, &config), name);
  ::close(image);
  must(::unlink(path.c_str()), "unlink");
}

void swap_on(const std::string& directory) {
  const std::string path = directory + "/swap";
  const std::string made =
      output_of("sh -c 'dd if=/dev/zero of=" + path + " bs=1M count=1 && chmod 600 " + path +
                " && mkswap " + path + "'");
  must(::swapon(path.c_str(), 0), "swapon: " + made);
}

void open_through_an_overlay(const std::string& directory) {
  in_private_mounts();
  const std::string beside = fs::path(directory).parent_path() / "overlay";
  for (const char* name : {"", "/upper", "/work", "/merged"}) fs::create_directory(beside + name);
  const std::string options =
      "lowerdir=" + directory + ",upperdir=" + beside + "/upper,workdir=" + beside + "/work";
  must(::mount("overlay", (beside + "/merged").c_str(), "overlay", 0, options.c_str()), "overlay");
  must(::open((beside + "/merged/file").c_str(), O_RDONLY | O_CLOEXEC), "merged file");
}

std::vector<Row> rows() {
  const std::string no_mounts = why_no_private_mounts();
  const std::string no_root = ::geteuid() == 0 ? "" : "needs root";
  const auto bind_elsewhere = [](const std::string& d) {
    in_private_mounts();
    const std::string elsewhere = fs::path(d).parent_path() / "elsewhere";
    fs::create_directory(elsewhere);
    must(::mount(d.c_str(), elsewhere.c_str(), nullptr, MS_BIND, nullptr), "bind");
    must_open(elsewhere + "/file", O_RDONLY);
  };
  std::vector<Row> all;
  for (const Holding& one : holdings_of_processes()) {
    all.push_back({one.title, one.why_not(), one.hold, {}, {}});
  }
  all.push_back({"descriptor in flight over a socket",
                 "",
                 [](const std::string& d) { send_in_flight(d + "/file"); },
                 {},
                 {}});
  all.push_back({"through a bind mount of another namespace", no_mounts, bind_elsewhere, {}, {}});
  all.push_back(
      {"lower layer of an overlay, through it", no_mounts, open_through_an_overlay, {}, {}});
  all.push_back({"mount that only another namespace has",
                 no_mounts,
                 [](const std::string& d) {
                   in_private_mounts();
                   must(::mount("none", d.c_str(), "tmpfs", 0, nullptr), "tmpfs");
                 },
                 {},
                 "\"MOUNT\""});
  all.push_back(
      {"loop device on a deleted image", no_root, put_on_a_loop_device, {}, "\"LOOP_DEVICE\""});
  all.push_back({"swap file", no_root, swap_on,
                 [](const std::string& d) { must(::swapoff((d + "/swap").c_str()), "swapoff"); },
                 "\"SWAP_FILE\""});
  return all;
}

void print(const Row& row, const std::vector<std::string>& cells) {
  std::string line = "| " + row.title + " |";
  for (const std::string& cell : cells) line += ' ' + cell + " |";
  std::puts(line.c_str());
  std::fflush(stdout);
}

// False when musterctl does not see what holds the file.
bool look(const Row& row, const std::string& musterctl, bool only_muster) {
  if (!row.why_not.empty()) return print(row, {row.why_not}), true;
  const TempDir parent;
  const std::string d = (parent.path() / "cache").native();
  fs::create_directory(d);
  std::ofstream(d + "/file") << "content";
  std::string problem;
  const auto child = start_holder([&] { row.hold(d); }, problem);
  if (child == nullptr) return print(row, {problem}), true;
  const std::string pid = std::to_string(child->pid());
  const std::string whom = row.kernel.empty() ? pid : "kernel";
  std::vector<std::string> cells;
  if (!only_muster) {
    const auto add = [&](const std::string& tool, const std::string& arguments,
                         const std::string& text) {
      const bool named = says(output_of(tool + arguments), whom, text);
      cells.emplace_back(!is_installed(tool) ? "not installed" : named ? "yes" : "no");
    };
    add("lsof", " -w +D " + d, {});
    add("fuser", " -v " + d + " $(find " + d + " -type f)", {});
    add("lsfd", " -l -o PID,NAME", d);
  }
  cells.push_back(
      answer_of_musterctl(output_of(musterctl + " holders --json " + d), pid, row.kernel));
  print(row, cells);
  if (row.end) row.end(d);
  return cells.back() != "no";
}

int run(std::vector<std::string> arguments) {
  const bool only_muster = !arguments.empty() && arguments.front() == "--only-muster";
  if (only_muster) arguments.erase(arguments.begin());
  if (arguments.size() > 1) {
    std::fputs("usage: muster-holders-table [--only-muster] [MUSTERCTL]\n", stderr);
    return 2;
  }
  const std::string musterctl = arguments.empty() ? program("musterctl") : arguments.front();
  std::puts(
      only_muster
          ? "| held by | musterctl holders |\n|---|---|"
          : "| held by | lsof +D | fuser | lsfd -l | musterctl holders |\n|---|---|---|---|---|");
  std::fflush(stdout);  // or each child has it, too
  bool sees_all = true;
  for (const Row& row : rows()) {
    if (!look(row, musterctl, only_muster)) sees_all = false;
  }
  return sees_all ? 0 : 1;
}

}  // namespace
}  // namespace muster::test

int main(int argc, char** argv) {
  try {
    return muster::test::run({argv + 1, argv + argc});
  } catch (const std::exception& error) {
    std::fprintf(stderr, "muster-holders-table: %s\n", error.what());
    return 1;
  }
}
