/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Finds out which of some names are symbols of the running kernel: names are wanted first, then
 * all are looked up in one reading of the kernel's list. No I/O but that. */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#define VH_SYMBOL_SIZE \
    128u /* the kernel's own limit is 128 (512 since 6.1), with the final NUL \
          */

struct vh_symbol {
    char name[VH_SYMBOL_SIZE];
    bool there;
    bool module; /* a module's */
};

struct vh_symbols {
    struct vh_symbol *list; /* owned; sorted by name once read */
    size_t count;
    size_t room;
    bool read;
};

/* 0 or -ENOMEM. Before vh_symbols_read; a name that is too long is none. */
int vh_symbols_want(struct vh_symbols *symbols, const char *name);
/* Looks the wanted names up in `path`, a list like /proc/kallsyms. 0 or -errno. */
int vh_symbols_read(struct vh_symbols *symbols, const char *path);
/* NULL: it was not wanted, or is not there. */
const struct vh_symbol *vh_symbols_find(const struct vh_symbols *symbols, const char *name);
void vh_symbols_free(struct vh_symbols *symbols);
