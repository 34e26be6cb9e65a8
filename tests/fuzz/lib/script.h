/* SPDX-License-Identifier: GPL-2.0-or-later */
/* An input as a script: what a target does next, and with what. Beyond its end there are zeros. */
#pragma once

#include <glib.h>
#include <stddef.h>
#include <stdint.h>

struct script {
    const uint8_t *at;
    size_t left;
};

static inline uint8_t script_byte(struct script *script)
{
    if (!script->left)
        return 0;
    script->left--;
    return *script->at++;
}

/* At most `*len` bytes, fewer at the end. */
static inline const uint8_t *script_bytes(struct script *script, size_t *len)
{
    const uint8_t *at = script->at;

    *len = MIN(*len, script->left);
    script->at += *len;
    script->left -= *len;
    return at;
}
