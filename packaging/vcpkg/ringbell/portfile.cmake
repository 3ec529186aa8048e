# SPDX-License-Identifier: BSL-1.0
# Builds the checkout that this file is in: ringbell has no release yet whose archive vcpkg could
# fetch. A port of a registry would set SOURCE_PATH by vcpkg_from_git, and be the same otherwise.
get_filename_component(SOURCE_PATH "${CMAKE_CURRENT_LIST_DIR}/../../.." ABSOLUTE)

set(asio disabled)
set(boost_root)
if("asio" IN_LIST FEATURES AND "boost-asio" IN_LIST FEATURES)
  message(FATAL_ERROR
    "ringbell has a front end for standalone Asio or for Boost's, and both features are on: asio, "
    "which is on by default, and boost-asio. Ask for ringbell[core,boost-asio] to have Boost's.")
elseif("asio" IN_LIST FEATURES)
  set(asio standalone)
elseif("boost-asio" IN_LIST FEATURES)
  set(asio boost)
  set(boost_root "boost_root = '${CURRENT_INSTALLED_DIR}'")
endif()

vcpkg_configure_meson(
  SOURCE_PATH "${SOURCE_PATH}"
  LANGUAGES CXX
  OPTIONS
    -Dasio=${asio}
    -Dtools=disabled
  ADDITIONAL_PROPERTIES
    ${boost_root})
vcpkg_install_meson()
vcpkg_fixup_pkgconfig()

# The files for CMake find the library and the headers from where they are, and those of the debug
# library find that one. So they stay in lib/cmake, where vcpkg's toolchain finds them.
set(VCPKG_POLICY_SKIP_MISPLACED_CMAKE_FILES_CHECK enabled)
set(VCPKG_POLICY_SKIP_LIB_CMAKE_MERGE_CHECK enabled)

file(REMOVE_RECURSE "${CURRENT_PACKAGES_DIR}/debug/share" "${CURRENT_PACKAGES_DIR}/share/doc")
file(INSTALL "${CMAKE_CURRENT_LIST_DIR}/usage" DESTINATION "${CURRENT_PACKAGES_DIR}/share/${PORT}")
vcpkg_install_copyright(FILE_LIST "${SOURCE_PATH}/LICENSE")
