# SPDX-License-Identifier: BSL-1.0
"""Builds the project of tests/package/cmake with the package, and runs what it makes."""

import os

from conan import ConanFile
from conan.tools.build import can_run
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout


class RingbellTest(ConanFile):
    settings = "os", "arch", "compiler", "build_type"
    generators = "CMakeDeps"

    def requirements(self):
        self.requires(self.tested_reference_str)

    def layout(self):
        cmake_layout(self)

    def generate(self):
        toolchain = CMakeToolchain(self)
        has_asio = self.dependencies["ringbell"].options.with_asio != "False"
        toolchain.cache_variables["COMPONENTS"] = "asio" if has_asio else ""
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure(
            build_script_folder=os.path.join("..", "..", "..", "tests", "package", "cmake")
        )
        cmake.build()

    def test(self):
        if can_run(self):
            CMake(self).ctest(["--no-tests=error", "--output-on-failure"])
