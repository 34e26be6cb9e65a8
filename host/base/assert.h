/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Assertions too dear for every day.
 *
 * g_assert() is for what costs next to nothing, and is always on. VH_ASSERT_DEEP() is on in debug
 * builds (VH_DEBUG) and under sanitizers; elsewhere its condition is compiled and never
 * evaluated. Neither may ever fail because of what a guest has sent: that is input, and is refused.
 */
#pragma once

#include <glib.h>

#include "base/sanitized.h"

#if VH_SANITIZED || defined(VH_DEBUG)
#define VH_ASSERTS_DEEP 1
#else
#define VH_ASSERTS_DEEP 0
#endif

#define VH_ASSERT_DEEP(condition) \
    do { \
        if (VH_ASSERTS_DEEP) \
            g_assert(condition); \
    } while (0)
