// SPDX-License-Identifier: BSL-1.0
#pragma once

#include "common/json.hpp"

#include <CLI/CLI.hpp>

#include <cstdio>
#include <string>

namespace ringbell::tool {

/// Those of nameless groups are the program's.
inline void describe_options(json& to, const CLI::App& app) {
  for (const CLI::Option* option : app.get_options()) {
    if (option->get_group().empty()) continue;  // hidden
    to.begin_object().begin_array("names");
    for (const std::string& name : option->get_snames()) to.value({}, "-" + name);
    for (const std::string& name : option->get_lnames()) to.value({}, "--" + name);
    to.end_array()
        .value("positional", option->get_positional())
        .value("type", option->get_items_expected_max() > 0 ? option->get_type_name() : "")
        .value("default", option->get_default_str())
        .value("required", option->get_required())
        .value("description", option->get_description())
        .end_object();
  }
  for (const CLI::App* group : app.get_subcommands(nullptr))
    if (group->get_name().empty()) describe_options(to, *group);
}

/// What a program or command takes, and how its --help describes it: for the manual and for the
/// completion of shells, which tools/manual/write makes of it.
inline void describe(json& to, const CLI::App& app) {
  to.begin_object()
      .value("name", app.get_name())
      .value("description", app.get_description())
      .value("footer", app.get_footer())
      .begin_array("options");
  describe_options(to, app);
  to.end_array().begin_array("commands");
  for (const CLI::App* sub : app.get_subcommands(nullptr))
    if (!sub->get_name().empty()) describe(to, *sub);
  to.end_array().end_object();
}

/// A hidden option that prints the description.
inline void add_describe_flag(CLI::App& app) {
  app.add_flag_callback("--describe",
                        [&app] {
                          json text;
                          describe(text, app);
                          std::printf("%s\n", text.text().c_str());
                          throw CLI::Success();
                        })
      ->group("");
}

}  // namespace ringbell::tool
