/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Manifests made by hand, one mistake each; the build says which. */
#include "vhint.bpf.h"

#define PROGRAM "program p 1\n"
#if defined(UNKNOWN_LINE)
#define MANIFEST PROGRAM "what is this\n"
#elif defined(UNKNOWN_KIND)
#define MANIFEST PROGRAM "hint 1 missing\n"
#elif defined(HEADLESS)
#define MANIFEST PROGRAM "hint 1 headless\n"
#elif defined(TWICE)
#define MANIFEST PROGRAM "hint 1 good\nhint 1 good\n"
#elif defined(BAD_NUMBER)
#define MANIFEST PROGRAM "hint 65536 good\n"
#elif defined(BAD_NAME)
#define MANIFEST "program ../p 1\n"
#elif defined(NAMELESS)
#define MANIFEST "hint 1 good\n"
#endif

struct headless {
    __u32 value;
};

struct good {
    struct vh_hint h;
    __u32 value;
};

const char manifest[] SEC(".vhint") = MANIFEST;
const struct headless *headless SEC(".vhint.kinds") = 0;
const struct good *good SEC(".vhint.kinds") = 0;
