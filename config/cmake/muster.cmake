# The functions that make Muster's targets.
#
#   muster_library(NAME [PCH kind] SOURCES file... [DEPS target...] [PRIVATE_DEPS target...]
#     [COMPILE_OPTIONS option...])
#   muster_program(NAME [PCH kind] SOURCES file... [DEPS target...] [COMPILE_OPTIONS option...])
#   muster_tests(NAME LABEL label GLOB pattern... [PCH kind] [DEPS target...] [TIMEOUT seconds]
#     [IO_URING filter])
#       IO_URING: the tests that run once more, with that transport (a filter of GoogleTest's)
#
# DEPS of a library are PUBLIC. Includes are spelled "muster/x.h" for lib/include, "net/link.h" for
# what is internal to lib/ (everything sees both), and "musterctl/x.h" for what is in daemon/ (seen by
# what is made there and by what depends on that).
#
# PCH: the precompiled header that a target's files begin with, each built once and shared:
#   std    standard library (the default)
#   asio   std and Asio; brings the dependency on muster_asio
#   proto  std and Protobuf's runtime; brings muster_protobuf
#   test   std and GoogleTest
#   none
# A file may not count on it: it includes what it uses. The files of muster_tests() themselves are
# not optimised, and have precompiled headers of their own.
set(CMAKE_CXX_STANDARD 20)
set(CMAKE_CXX_STANDARD_REQUIRED ON)
set(CMAKE_CXX_EXTENSIONS OFF)
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)
set(CMAKE_RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/bin")
set(MUSTER_SOURCE_DIR "${CMAKE_CURRENT_LIST_DIR}/../..")
cmake_path(NORMAL_PATH MUSTER_SOURCE_DIR)
set(MUSTER_DAEMON_DIR "${MUSTER_SOURCE_DIR}/daemon")

# Line tables are enough for a backtrace; more debug information would be most of the build.
set(CMAKE_CXX_FLAGS_RELWITHDEBINFO "-O2 -g1 -DNDEBUG")

set(MUSTER_WARNINGS -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wnon-virtual-dtor
  -Woverloaded-virtual)
if(MUSTER_WERROR)
  list(APPEND MUSTER_WARNINGS -Werror)
endif()
if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU" AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
  # g++ 12 sees overlaps and overruns in std::string's operator+ that are not there (gcc bugs 105329
  # and 105651). The sanitizers look at the same code with their own eyes.
  list(APPEND MUSTER_WARNINGS -Wno-restrict -Wno-array-bounds)
endif()

# The files of a target compiled together, several at once: half the time for whoever builds once,
# more for whoever changes one file. They go together because names are unique in their target
# (./dev lint finds most of those that are not).
if(MUSTER_UNITY)
  set(CMAKE_UNITY_BUILD ON)
  set(CMAKE_UNITY_BUILD_BATCH_SIZE 16)
  # Of what hides a name of another file nothing needs to be said; other builds see the rest.
  list(APPEND MUSTER_WARNINGS -Wno-shadow)
endif()

# Of everything, generated code too, so that all objects agree.
# -fPIE here and not CMake's property: libraries and programs share precompiled headers, and CMake
# would give them different options.
add_compile_options(-fPIE -ffunction-sections -fdata-sections)
add_link_options(-pie LINKER:--gc-sections)
# Of the installed libraries, which a plugin (a shared object) may link: after -fPIE, and so instead
# of it. Nothing replaces their functions, so that they are inlined as before.
set(MUSTER_PLUGIN_CODE -fPIC -fno-semantic-interposition)
# Relocations of a position-independent program are 24 bytes each unless they are packed: 5 % of
# musterd. Needs glibc 2.36, that of Debian 12.
include(CheckLinkerFlag)
check_linker_flag(CXX LINKER:-z,pack-relative-relocs MUSTER_PACKED_RELOCATIONS)
if(MUSTER_PACKED_RELOCATIONS AND MUSTER_STATIC)
  add_link_options(LINKER:-z,pack-relative-relocs)
endif()
add_compile_definitions($<$<CONFIG:Debug>:_GLIBCXX_ASSERTIONS>)

# ccache, when it is there. Precompiled headers need its tolerance for their macros; the base
# directory lets build trees share what they compiled.
find_program(MUSTER_CCACHE ccache)
if(MUSTER_CCACHE)
  set(CMAKE_CXX_COMPILER_LAUNCHER ${CMAKE_COMMAND} -E env
    CCACHE_SLOPPINESS=pch_defines,time_macros CCACHE_NOHASHDIR=1 CCACHE_BASEDIR=${CMAKE_BINARY_DIR}
    ${MUSTER_CCACHE})
  if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
    add_compile_options(-fpch-preprocess)
  else()
    add_compile_options("SHELL:-Xclang -fno-pch-timestamp")
  endif()
endif()

if(MUSTER_SANITIZE)
  set(muster_sanitize -fsanitize=${MUSTER_SANITIZE} -fno-omit-frame-pointer)
  if(MUSTER_SANITIZE MATCHES "undefined")
    list(APPEND muster_sanitize -fno-sanitize-recover=all)
    if(CMAKE_CXX_COMPILER_ID STREQUAL "GNU")
      # These four double g++'s compile time; clang's build and review cover them.
      list(APPEND muster_sanitize -fno-sanitize=null,vptr,alignment,object-size)
    endif()
  endif()
  add_compile_options(${muster_sanitize})
  add_link_options(${muster_sanitize})
endif()

if(MUSTER_COVERAGE)
  if(NOT CMAKE_CXX_COMPILER_ID MATCHES "Clang")
    message(FATAL_ERROR "MUSTER_COVERAGE needs clang: use ./dev coverage")
  endif()
  # Where LLVM_PROFILE_FILE does not say that it is wanted, nothing is left.
  add_compile_options(-fprofile-instr-generate=/dev/null -fcoverage-mapping)
  add_link_options(-fprofile-instr-generate)
endif()

# For what random scripts spend their time in: under a sanitizer and not optimised they would take
# five times as long.
set(MUSTER_HOT)
if(MUSTER_SANITIZE)
  set(MUSTER_HOT -O1)
endif()

# For what must run where neither sanitizers nor coverage have begun.
set(MUSTER_UNINSTRUMENTED)
if(MUSTER_SANITIZE)
  list(APPEND MUSTER_UNINSTRUMENTED -fno-sanitize=all)
endif()
if(MUSTER_COVERAGE)
  list(APPEND MUSTER_UNINSTRUMENTED -fno-profile-instr-generate -fno-coverage-mapping)
endif()

# Compile options of our own code.
function(muster_own_code target)
  target_compile_options(${target} PRIVATE ${MUSTER_WARNINGS})
  if(MUSTER_COVERAGE AND MUSTER_UNITY)
    # A profile tells functions of unnamed namespaces apart by the name of the file that was
    # compiled, and every target has a unity_0.
    target_compile_options(${target} PRIVATE
      "SHELL:-Xclang -main-file-name -Xclang ${target}.cpp")
  endif()
  if(MUSTER_STATIC AND NOT MUSTER_SANITIZE)
    get_target_property(type ${target} TYPE)
    if(type STREQUAL "EXECUTABLE")
      target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
    endif()
  endif()
endfunction()

set(MUSTER_PCH_std
  <algorithm> <array> <chrono> <compare> <cstddef> <cstdint> <cstring> <deque> <functional>
  <map> <memory> <optional> <span> <string> <string_view> <system_error> <unordered_map>
  <utility> <variant> <vector>)
set(MUSTER_PCH_asio ${MUSTER_PCH_std} <asio.hpp>)
set(MUSTER_PCH_proto ${MUSTER_PCH_std} <google/protobuf/message_lite.h>
  <google/protobuf/repeated_field.h> <google/protobuf/generated_message_util.h>
  <google/protobuf/map_field_lite.h> <google/protobuf/io/coded_stream.h>)
set(MUSTER_PCH_test ${MUSTER_PCH_std} <gtest/gtest.h>)

# More arguments are compile options, those of all who share the header.
function(muster_use_pch target kind)
  if(kind STREQUAL "none")
    return()
  endif()
  if(NOT DEFINED MUSTER_PCH_${kind})
    message(FATAL_ERROR "${target}: no precompiled header is called '${kind}'")
  endif()
  string(MAKE_C_IDENTIFIER "muster_pch_${kind}${ARGN}" carrier)
  if(NOT TARGET ${carrier})
    set(empty "${CMAKE_BINARY_DIR}/${carrier}.cpp")
    if(NOT EXISTS "${empty}")
      file(WRITE "${empty}" "// Carries the precompiled header '${kind}'.\n")
    endif()
    add_library(${carrier} OBJECT "${empty}")
    target_precompile_headers(${carrier} PRIVATE ${MUSTER_PCH_${kind}})
    target_compile_options(${carrier} PRIVATE ${ARGN})
    if(kind STREQUAL "asio")
      target_link_libraries(${carrier} PRIVATE muster_asio)
    elseif(kind STREQUAL "proto")
      target_link_libraries(${carrier} PRIVATE muster_protobuf)
    elseif(kind STREQUAL "test")
      target_link_libraries(${carrier} PRIVATE GTest::gtest)
    endif()
    target_link_libraries(${carrier} PRIVATE Threads::Threads)
    muster_own_code(${carrier})
  endif()
  target_precompile_headers(${target} REUSE_FROM ${carrier})
  target_compile_options(${target} PRIVATE ${ARGN})
  # The macros of the header's libraries must be the same here; linking is what carries them.
  target_link_libraries(${target} PRIVATE Threads::Threads)
  if(kind STREQUAL "asio")
    target_link_libraries(${target} PRIVATE muster_asio)
  endif()
endfunction()

function(muster_add_daemon_includes target scope)
  cmake_path(IS_PREFIX MUSTER_DAEMON_DIR "${CMAKE_CURRENT_SOURCE_DIR}" is_daemon)
  if(is_daemon)
    target_include_directories(${target} ${scope} "${MUSTER_DAEMON_DIR}")
  endif()
endfunction()

function(muster_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PCH" "SOURCES;DEPS;PRIVATE_DEPS;COMPILE_OPTIONS")
  if(NOT arg_PCH)
    set(arg_PCH std)
  endif()
  add_library(${name} STATIC ${arg_SOURCES})
  target_include_directories(${name}
    PUBLIC
      $<BUILD_INTERFACE:${MUSTER_SOURCE_DIR}/lib/include>
      $<INSTALL_INTERFACE:${CMAKE_INSTALL_INCLUDEDIR}>
      $<BUILD_INTERFACE:${MUSTER_SOURCE_DIR}/lib>)
  muster_add_daemon_includes(${name} PUBLIC)
  target_compile_features(${name} PUBLIC cxx_std_20)
  target_link_libraries(${name} PUBLIC ${arg_DEPS} PRIVATE ${arg_PRIVATE_DEPS})
  muster_own_code(${name})
  muster_use_pch(${name} ${arg_PCH} ${arg_COMPILE_OPTIONS})
endfunction()

function(muster_program name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PCH" "SOURCES;DEPS;COMPILE_OPTIONS")
  if(NOT arg_PCH)
    set(arg_PCH std)
  endif()
  add_executable(${name} ${arg_SOURCES})
  target_include_directories(${name} PRIVATE
    "${MUSTER_SOURCE_DIR}/lib/include" "${MUSTER_SOURCE_DIR}/lib")
  muster_add_daemon_includes(${name} PRIVATE)
  target_link_libraries(${name} PRIVATE ${arg_DEPS})
  muster_own_code(${name})
  muster_use_pch(${name} ${arg_PCH} ${arg_COMPILE_OPTIONS})
endfunction()

# One GoogleTest program of all files that match; made only when there are some. Tests are listed
# when ctest runs, not when the program is linked.
function(muster_tests name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PCH;LABEL;TIMEOUT;IO_URING;ALONE" "GLOB;DEPS")
  file(GLOB sources CONFIGURE_DEPENDS ${arg_GLOB})
  if(NOT sources)
    return()
  endif()
  if(NOT arg_PCH)
    set(arg_PCH test)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  # What they test is optimised. They themselves run once, and would be half of what there is to
  # compile.
  if(CMAKE_BUILD_TYPE MATCHES "^Rel")
    set(options -O0)
  endif()
  muster_program(${name} PCH ${arg_PCH} SOURCES ${sources} COMPILE_OPTIONS ${options}
    DEPS ${arg_DEPS} GTest::gtest GTest::gmock)
  include(GoogleTest)
  set(parts together)
  if(arg_ALONE)
    list(APPEND parts alone)
    set(others "-${arg_ALONE}")
  endif()
  foreach(part ${parts})
    set(filter "*${others}")
    set(io_uring "${arg_IO_URING}${others}")
    set(serial FALSE)
    if(part STREQUAL alone)
      set(filter "${arg_ALONE}")
      set(io_uring "${arg_ALONE}")
      set(serial TRUE)
    endif()
    gtest_discover_tests(${name}
      TEST_FILTER "${filter}" TEST_LIST ${name}_${part}
      DISCOVERY_MODE PRE_TEST
      DISCOVERY_TIMEOUT 60
      PROPERTIES LABELS "${arg_LABEL}" TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${serial})
    if(arg_IO_URING)
      gtest_discover_tests(${name}
        TEST_PREFIX io_uring. TEST_FILTER "${io_uring}" TEST_LIST ${name}_io_uring_${part}
        DISCOVERY_MODE PRE_TEST
        DISCOVERY_TIMEOUT 60
        # One label: a list would come apart on its way, and what follows it be lost.
        PROPERTIES LABELS "${arg_LABEL}_io_uring" TIMEOUT ${arg_TIMEOUT} RUN_SERIAL ${serial}
          ENVIRONMENT MUSTER_TEST_TRANSPORT=io_uring)
    endif()
  endforeach()
endfunction()
