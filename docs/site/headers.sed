# SPDX-License-Identifier: BSL-1.0
# What Doxygen reads in place of a header. Lines keep their numbers.

# It knows neither of these: a name in parentheses, which keeps ADL off, and an inline namespace
# within another.
s/>(\([a-z_]*\))(/> \1(/
s/::inline RINGBELL_ASIO_ABI//

# The lines of a contract, as `Errors: ...`, must not be joined with the text above.
s#/// \([A-Z][A-Za-z-]*\( signature\)\{0,1\}\(, [a-z `_-]*\)\{0,1\}: \)#/// <br/>\1#
