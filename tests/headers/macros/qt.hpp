// SPDX-License-Identifier: BSL-1.0
// What Qt's headers make of words, unless they are told not to (QtCore/qtmetamacros.h, qforeach.h).
#define signals public
#define slots
#define emit
#define foreach for
#define forever for (;;)
