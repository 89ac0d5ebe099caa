# What others wrote: each library as one target of ours, so that its oddities stay in this file.
#
#   muster_asio      Asio 1.22, standalone, header only
#   muster_log       spdlog
#   muster_toml      toml++ (include it in one file only)
#   muster_cli       CLI11 (include it in few files)
#   muster_systemd   libsystemd (sd-daemon.h, sd-bus.h)
#   muster_uring     liburing (include it in few files)
#   muster_sqlite    SQLite (include it in one file only)
#   muster_protobuf  Protobuf's C++ runtime, the half of it without descriptors
#   muster_protobuf_full
#                    all of it
#
# Their headers are SYSTEM: our warnings do not reach them.
find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)

# Asio. Debian ships neither a CMake package nor a .pc file.
find_path(ASIO_INCLUDE_DIR asio.hpp REQUIRED)
add_library(muster_asio INTERFACE)
target_include_directories(muster_asio SYSTEM INTERFACE
  $<BUILD_INTERFACE:${ASIO_INCLUDE_DIR}>)
target_compile_definitions(muster_asio INTERFACE ASIO_STANDALONE ASIO_NO_DEPRECATED)
target_link_libraries(muster_asio INTERFACE Threads::Threads)
if(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
  # Asio 1.22 asks clang for the coroutines of the TS and does not see those of C++20.
  target_compile_definitions(muster_asio INTERFACE ASIO_HAS_CO_AWAIT ASIO_HAS_STD_COROUTINE)
  if(CMAKE_CXX_COMPILER_VERSION VERSION_LESS 17)
    # Has them, too, but does not say so to libstdc++ 12.
    target_compile_definitions(muster_asio INTERFACE __cpp_impl_coroutine=201902L)
  endif()
endif()

find_package(spdlog REQUIRED)
if(MUSTER_STATIC)
  add_library(muster_log STATIC "${CMAKE_CURRENT_LIST_DIR}/log_library.cpp")
  target_compile_definitions(muster_log PUBLIC SPDLOG_COMPILED_LIB SPDLOG_FMT_EXTERNAL)
  target_compile_features(muster_log PUBLIC cxx_std_20)
  target_link_libraries(muster_log PUBLIC Threads::Threads)
else()
  add_library(muster_log INTERFACE)
  target_link_libraries(muster_log INTERFACE spdlog::spdlog)
endif()

# toml++ header only: one file uses it, and a program has one shared library less to load.
find_path(TOMLPLUSPLUS_INCLUDE_DIR toml++/toml.h REQUIRED)
add_library(muster_toml INTERFACE)
target_include_directories(muster_toml SYSTEM INTERFACE ${TOMLPLUSPLUS_INCLUDE_DIR})
target_compile_definitions(muster_toml INTERFACE TOML_HEADER_ONLY=1 TOML_ENABLE_FORMATTERS=0)

find_path(CLI11_INCLUDE_DIR CLI/CLI.hpp REQUIRED)
add_library(muster_cli INTERFACE)
target_include_directories(muster_cli SYSTEM INTERFACE ${CLI11_INCLUDE_DIR})

pkg_check_modules(LIBSYSTEMD REQUIRED IMPORTED_TARGET libsystemd)
add_library(muster_systemd INTERFACE)
target_link_libraries(muster_systemd INTERFACE PkgConfig::LIBSYSTEMD)

# liburing's own library: a page of code, so no shared one to load.
find_path(URING_INCLUDE_DIR liburing.h REQUIRED)
find_library(URING_LIBRARY NAMES liburing.a REQUIRED)
add_library(muster_uring INTERFACE)
target_include_directories(muster_uring SYSTEM INTERFACE ${URING_INCLUDE_DIR})
target_link_libraries(muster_uring INTERFACE ${URING_LIBRARY})

# SQLite, always shared: a third of musterd would be it, and Debian repairs it there.
pkg_check_modules(SQLITE3 REQUIRED IMPORTED_TARGET sqlite3)
add_library(muster_sqlite INTERFACE)
target_link_libraries(muster_sqlite INTERFACE PkgConfig::SQLITE3)

# Protobuf in module mode: Debian packages no CMake configuration for it.
set(Protobuf_USE_STATIC_LIBS ${MUSTER_STATIC})
find_package(Protobuf MODULE REQUIRED)
add_library(muster_protobuf_full INTERFACE)
target_link_libraries(muster_protobuf_full INTERFACE protobuf::libprotobuf)
add_library(muster_protobuf INTERFACE)
if(MUSTER_STATIC)
  # Whoever links an installed Muster may do so with shared libraries: see below.
  target_link_libraries(muster_protobuf INTERFACE
    $<BUILD_INTERFACE:protobuf::libprotobuf-lite> $<INSTALL_INTERFACE:protobuf::libprotobuf>)
else()
  # Both shared libraries in one process would be two of the same runtime.
  target_link_libraries(muster_protobuf INTERFACE protobuf::libprotobuf)
endif()

if(MUSTER_TESTS)
  find_package(GTest REQUIRED)
  find_package(benchmark QUIET)
  # What the bench compares with. Each is a target only where it is found.
  find_path(NNG_INCLUDE_DIR nng/nng.h)
  find_library(NNG_LIBRARY nng)
  if(NNG_INCLUDE_DIR AND NNG_LIBRARY)
    add_library(muster_nng INTERFACE)
    target_include_directories(muster_nng SYSTEM INTERFACE ${NNG_INCLUDE_DIR})
    target_link_libraries(muster_nng INTERFACE ${NNG_LIBRARY})
  endif()
  pkg_check_modules(LIBZMQ QUIET IMPORTED_TARGET libzmq)
  if(LIBZMQ_FOUND)
    add_library(muster_zeromq INTERFACE)
    target_link_libraries(muster_zeromq INTERFACE PkgConfig::LIBZMQ)
  endif()
endif()
