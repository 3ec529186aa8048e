// SPDX-License-Identifier: BSL-1.0
// What <AssertMacros.h>, and Objective-C's headers, make of words.
#define check(assertion)
#define check_noerr(error)
#define require(assertion, label)
#define require_action(assertion, label, action)
#define verify(assertion)
#define YES 1
#define NO 0
#define nil 0
