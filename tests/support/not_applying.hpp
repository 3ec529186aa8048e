// SPDX-License-Identifier: BSL-1.0
#pragma once

#include <doctest/doctest.h>

#include <ostream>
#include <set>
#include <string_view>
#include <vector>

/// Prints which cases do not apply on this platform (support/applies.hpp). For main.cpp only.
namespace ringbell::test {

class not_applying final : public doctest::IReporter {
public:
  explicit not_applying(const doctest::ContextOptions& options) : options_(options) {}

  void test_case_start(const doctest::TestCaseData& t) override { ran_.insert(t.m_test_suite); }

  // doctest calls this also for the cases of suites that were not chosen.
  void test_case_skipped(const doctest::TestCaseData& test) override {
    if (test.m_skip && test.m_description != nullptr) skipped_.push_back(&test);
  }

  void test_run_end(const doctest::TestRunStats&) override {
    if (options_.no_skip) return;
    std::ostream& out = *options_.cout;
    for (const doctest::TestCaseData* const test : skipped_) {
      if (!ran_.contains(test->m_test_suite)) continue;
      out << "does not apply here: " << test->m_name << ": " << test->m_description << '\n';
    }
  }

  void report_query(const doctest::QueryData&) override {}
  void test_run_start() override {}
  void test_case_reenter(const doctest::TestCaseData&) override {}
  void test_case_end(const doctest::CurrentTestCaseStats&) override {}
  void test_case_exception(const doctest::TestCaseException&) override {}
  void subcase_start(const doctest::SubcaseSignature&) override {}
  void subcase_end() override {}
  void log_assert(const doctest::AssertData&) override {}
  void log_message(const doctest::MessageData&) override {}

private:
  const doctest::ContextOptions& options_;
  std::set<std::string_view> ran_;  ///< suites
  std::vector<const doctest::TestCaseData*> skipped_;
};

}  // namespace ringbell::test

DOCTEST_REGISTER_LISTENER("not_applying", 1, ringbell::test::not_applying);
