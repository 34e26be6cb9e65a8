/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Keeps what libbpf says during one load: its first warning for the answer's text, the end of all
 * for its log. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "wire.h"

struct vh_log {
    char first[VH_TEXT_MAX / 2]; /* the first warning, one line */
    char *bytes;                 /* VH_LOG_MAX at most, owned */
    size_t len;
    bool cut; /* the beginning was left out */
};

/* From here on libbpf's warnings in this thread go to `log`, until vh_log_end. */
void vh_log_begin(struct vh_log *log);
void vh_log_end(void);
void vh_log_free(struct vh_log *log);
