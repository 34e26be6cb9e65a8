/* SPDX-License-Identifier: GPL-2.0-or-later */
/* JSON as a script wants it: any value, of words and numbers that QEMU uses. */
#pragma once

#include "lib/script.h"

/* Appends one value. */
void json_make(GString *out, struct script *script);
