# What a system installs of the libraries, as the component "development": the public headers, the
# static libraries, and a CMake package, so that a daemon says
#
#   find_package(muster REQUIRED)
#   target_link_libraries(mine PRIVATE muster::sdk)
#
# Public are muster::sdk (backend, control client) and muster::model (keys, operations, results,
# the model of a broadcast); the others come along because these need them.
#
# Included where the last of the libraries is made.
include(CMakePackageConfigHelpers)

set(MUSTER_PACKAGE_DIR "${CMAKE_INSTALL_LIBDIR}/cmake/muster")

foreach(name sdk model)
  set_target_properties(muster_${name} PROPERTIES EXPORT_NAME ${name})
  add_library(muster::${name} ALIAS muster_${name})
endforeach()

# What has to be built for it.
add_custom_target(muster_libraries DEPENDS muster_sdk muster_json)

install(TARGETS muster_sdk muster_model muster_net muster_os muster_wire muster_json
  muster_proto muster_asio muster_protobuf muster_protobuf_full
  EXPORT muster_targets
  ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR} COMPONENT development)
install(DIRECTORY "${MUSTER_SOURCE_DIR}/lib/include/muster"
  DESTINATION ${CMAKE_INSTALL_INCLUDEDIR} COMPONENT development)
install(EXPORT muster_targets NAMESPACE muster:: FILE muster-targets.cmake
  DESTINATION ${MUSTER_PACKAGE_DIR} COMPONENT development)

configure_package_config_file("${MUSTER_SOURCE_DIR}/config/cmake/muster-config.cmake.in"
  "${CMAKE_CURRENT_BINARY_DIR}/muster-config.cmake"
  INSTALL_DESTINATION ${MUSTER_PACKAGE_DIR}
  NO_SET_AND_CHECK_MACRO NO_CHECK_REQUIRED_COMPONENTS_MACRO)
write_basic_package_version_file("${CMAKE_CURRENT_BINARY_DIR}/muster-config-version.cmake"
  COMPATIBILITY SameMinorVersion)
install(FILES "${CMAKE_CURRENT_BINARY_DIR}/muster-config.cmake"
  "${CMAKE_CURRENT_BINARY_DIR}/muster-config-version.cmake"
  DESTINATION ${MUSTER_PACKAGE_DIR} COMPONENT development)
