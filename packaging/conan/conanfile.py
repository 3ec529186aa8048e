# SPDX-License-Identifier: BSL-1.0
"""A recipe for Conan 2 that packages the checkout that it is in. docs/install.md says how to use
it, and what of it was tried."""

import os
import re

from conan import ConanFile
from conan.errors import ConanInvalidConfiguration
from conan.tools.build import check_min_cppstd
from conan.tools.files import copy, load, rmdir
from conan.tools.gnu import PkgConfigDeps
from conan.tools.layout import basic_layout
from conan.tools.meson import Meson, MesonToolchain

required_conan_version = ">=2.0"


class RingbellConan(ConanFile):
    name = "ringbell"
    description = "Messages between processes through shared-memory rings; every wait is a co_await"
    license = "BSL-1.0"
    topics = ("ipc", "shared-memory", "coroutines", "asio")
    package_type = "library"
    settings = "os", "arch", "compiler", "build_type"
    options = {
        "shared": [True, False],
        "fPIC": [True, False],
        "with_asio": ["standalone", "boost", False],
    }
    default_options = {"shared": False, "fPIC": True, "with_asio": "standalone"}
    implements = ["auto_shared_fpic"]

    def set_version(self):
        build_file = load(self, os.path.join(self._checkout, "meson.build"))
        self.version = re.search(r"^  version: '(.*)',$", build_file, re.MULTILINE)[1]

    @property
    def _checkout(self):
        return os.path.join(self.recipe_folder, "..", "..")

    def export_sources(self):
        for pattern in (
            "meson.build",
            "meson_options.txt",
            "CHANGELOG.md",
            "LICENSE",
            "README.md",
            "docs/*",
            "include/*",
            "packaging/*",
            "src/*",
        ):
            copy(self, pattern, src=self._checkout, dst=self.export_sources_folder)

    def validate(self):
        check_min_cppstd(self, 20)
        if self.settings.os == "Windows" and self.options.shared:
            raise ConanInvalidConfiguration("ringbell has no shared library on Windows")

    def layout(self):
        basic_layout(self)

    def requirements(self):
        if self.settings.os == "Linux":
            self.requires("liburing/[>=2.3 <3]")
        if self.options.with_asio == "standalone":
            self.requires("asio/[>=1.22.1 <2]", transitive_headers=True)
        elif self.options.with_asio == "boost":
            self.requires("boost/[>=1.78 <2]", transitive_headers=True)

    def build_requirements(self):
        self.tool_requires("meson/[>=1.0.1 <2]")
        if not self.conf.get("tools.gnu:pkg_config", check_type=str):
            self.tool_requires("pkgconf/[>=2 <3]")

    def generate(self):
        PkgConfigDeps(self).generate()
        toolchain = MesonToolchain(self)
        toolchain.project_options["asio"] = str(self.options.with_asio or "disabled")
        toolchain.project_options["tools"] = "disabled"
        if self.options.with_asio == "standalone":
            # The build looks for the header first, and must not find that of the system.
            include = self.dependencies["asio"].cpp_info.aggregated_components().includedir
            toolchain.extra_cxxflags.append(f"-I{include}")
        elif self.options.with_asio == "boost":
            toolchain.properties["boost_root"] = self.dependencies["boost"].package_folder
        toolchain.generate()

    def build(self):
        meson = Meson(self)
        meson.configure()
        meson.build()

    def package(self):
        Meson(self).install()
        copy(self, "LICENSE", src=self.source_folder, dst=f"{self.package_folder}/licenses")
        # Conan writes these for each user, from package_info().
        rmdir(self, os.path.join(self.package_folder, "lib", "cmake"))
        rmdir(self, os.path.join(self.package_folder, "lib", "pkgconfig"))
        rmdir(self, os.path.join(self.package_folder, "share"))

    # What packaging/cmake/ringbell-config.cmake.in and packaging/meson.build say for other users.
    def package_info(self):
        system = self.settings.os
        gcc = self.settings.compiler == "gcc"

        # A target for both components, which nobody needs, would be named ringbell::ringbell.
        self.cpp_info.set_property("cmake_target_name", "ringbell::all")
        self.cpp_info.set_property("cmake_config_version_compat", "SameMinorVersion")

        ringbell = self.cpp_info.components["ringbell"]
        ringbell.set_property("cmake_target_name", "ringbell::ringbell")
        ringbell.set_property("pkg_config_name", "ringbell")
        ringbell.libs = ["ringbell"]
        if gcc:
            ringbell.cxxflags = ["-foptimize-sibling-calls"]
        if system == "Linux":
            ringbell.requires = ["liburing::liburing"]
            ringbell.system_libs = ["pthread"]
        elif system == "Windows":
            ringbell.system_libs = ["synchronization"]

        if not self.options.with_asio:
            return
        asio = self.cpp_info.components["asio"]
        asio.set_property("cmake_target_name", "ringbell::asio")
        asio.set_property("pkg_config_name", "ringbell-asio")
        asio.libdirs = []
        if self.options.with_asio == "boost":
            asio.requires = ["ringbell", "boost::headers"]
            asio.defines = ["RINGBELL_BOOST_ASIO"]
            macro = "BOOST_ASIO"
        else:
            asio.requires = ["ringbell", "asio::asio"]
            macro = "ASIO"
        if gcc:
            asio.cxxflags = ["-Wno-mismatched-new-delete"]
        elif "clang" in str(self.settings.compiler):
            asio.defines += [f"{macro}_HAS_CO_AWAIT", f"{macro}_HAS_STD_COROUTINE"]
        if system == "Windows":
            asio.system_libs = ["ws2_32", "mswsock"]
            if gcc:
                asio.defines.append(f"{macro}_HAS_THREADS")
                asio.cxxflags.append("-Wa,-mbig-obj")
