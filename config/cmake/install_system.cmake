# Runs when Muster is installed: the unit names the programs by their full path, and the
# configuration that an administrator changed is kept.
#
# REQUIRES: muster_source, muster_sbindir, muster_libexecdir, muster_datadir (config/CMakeLists.txt).
cmake_policy(VERSION 3.25)
cmake_path(ABSOLUTE_PATH CMAKE_INSTALL_PREFIX NORMALIZE OUTPUT_VARIABLE muster_prefix)

# Writes `content` to `path` below DESTDIR. A file that is there keeps its owner and mode.
function(muster_install_text path content)
  set(target "$ENV{DESTDIR}${path}")
  set(is_new TRUE)
  if(EXISTS "${target}")
    set(is_new FALSE)
    file(READ "${target}" there)
    if(there STREQUAL content)
      message(STATUS "Up-to-date: ${target}")
      return()
    endif()
  endif()
  message(STATUS "Installing: ${target}")
  file(WRITE "${target}" "${content}")
  if(is_new)
    file(CHMOD "${target}" PERMISSIONS OWNER_READ OWNER_WRITE GROUP_READ WORLD_READ)
  endif()
endfunction()

# --- musterd.service, muster-scan.service
# Installs the unit with the directory of its program instead of `there`.
function(muster_install_unit unit there directory)
  cmake_path(ABSOLUTE_PATH directory BASE_DIRECTORY "${muster_prefix}" NORMALIZE)
  # As systemd wants it: specifiers and variables are doubled.
  string(REPLACE "%" "%%" directory "${directory}")
  string(REPLACE "$" "$$" directory "${directory}")
  if(directory MATCHES "[ \t\"'\\]")
    message(FATAL_ERROR "the unit cannot name a program in '${directory}': "
      "choose a prefix without blanks, quotes and backslashes")
  endif()
  file(READ "${muster_source}/${unit}" text)
  string(REPLACE "${there}/" "${directory}/" text "${text}")
  muster_install_text("${muster_prefix}/lib/systemd/system/${unit}" "${text}")
endfunction()
muster_install_unit(musterd.service /usr/sbin "${muster_sbindir}")
muster_install_unit(muster-scan.service /usr/libexec "${muster_libexecdir}")

# --- musterd.toml, where musterd looks for it whatever the prefix is.
#
# A copy stays in share/muster: what was installed last, by which the next installation knows
# whether somebody changed the configuration or removed it.
set(muster_config /etc/muster/musterd.toml)
set(muster_there "$ENV{DESTDIR}${muster_config}")
set(muster_pristine "${muster_datadir}")
cmake_path(ABSOLUTE_PATH muster_pristine BASE_DIRECTORY "${muster_prefix}" NORMALIZE)
string(APPEND muster_pristine /muster/musterd.toml)
file(READ "${muster_source}/musterd.toml" muster_new)

# What somebody has made of it, empty included.
set(muster_changed FALSE)
set(muster_removed FALSE)
set(muster_last "")
if(EXISTS "$ENV{DESTDIR}${muster_pristine}")
  file(READ "$ENV{DESTDIR}${muster_pristine}" muster_last)
endif()
if(EXISTS "${muster_there}")
  file(READ "${muster_there}" muster_current)
  if(NOT muster_current STREQUAL muster_new AND
      (muster_last STREQUAL "" OR NOT muster_current STREQUAL muster_last))
    set(muster_changed TRUE)
  endif()
elseif(NOT muster_last STREQUAL "")
  set(muster_removed TRUE)
endif()

if(muster_removed)
  message(STATUS "Not installed: ${muster_there}: it was removed; "
    "the default is in $ENV{DESTDIR}${muster_pristine}")
elseif(muster_changed)
  message(STATUS "Kept: ${muster_there}: it was changed; "
    "the default is in ${muster_there}.new: compare them")
  muster_install_text("${muster_config}.new" "${muster_new}")
else()
  muster_install_text("${muster_config}" "${muster_new}")
endif()
muster_install_text("${muster_pristine}" "${muster_new}")

# install_manifest.txt names what may be removed again: not the configuration.
list(APPEND CMAKE_INSTALL_MANIFEST_FILES
  "${muster_prefix}/lib/systemd/system/musterd.service"
  "${muster_prefix}/lib/systemd/system/muster-scan.service" "${muster_pristine}")
