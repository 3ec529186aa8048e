// SPDX-License-Identifier: BSL-1.0
// What <X11/Xlib.h> and its companions make of words.
#define Bool int
#define Status int
#define True 1
#define False 0
#define None 0L
#define Success 0
#define Always 2
#define Complex 0
#define Unsorted 0
#define CurrentTime 0L
#define DestroyAll 0
