// SPDX-License-Identifier: GPL-2.0-or-later
// Looks names up in /proc/kallsyms: see symbols.h.
#include "symbols.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

int vh_symbols_want(struct vh_symbols *symbols, const char *name)
{
    struct vh_symbol *grown = symbols->list;
    size_t room = symbols->room ? 2 * symbols->room : 16;

    if (strlen(name) >= VH_SYMBOL_SIZE)
        return 0;
    if (symbols->count == symbols->room) {
        grown = reallocarray(symbols->list, room, sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        symbols->list = grown;
        symbols->room = room;
    }
    grown[symbols->count] = (struct vh_symbol){.there = false};
    memcpy(grown[symbols->count].name, name, strlen(name));
    symbols->count++;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(((const struct vh_symbol *)a)->name, ((const struct vh_symbol *)b)->name);
}

static struct vh_symbol *find(const struct vh_symbols *symbols, const char *name)
{
    struct vh_symbol key = {.there = false};

    if (symbols->count == 0 || strlen(name) >= sizeof(key.name))
        return NULL;
    memcpy(key.name, name, strlen(name));
    return bsearch(&key, symbols->list, symbols->count, sizeof(key), compare);
}

/* Each name stays once: what is found is noted there. */
static void sort(struct vh_symbols *symbols)
{
    size_t kept = 0;

    if (symbols->count == 0)
        return;
    qsort(symbols->list, symbols->count, sizeof(symbols->list[0]), compare);
    for (size_t i = 1; i < symbols->count; i++) {
        if (compare(&symbols->list[kept], &symbols->list[i]) != 0)
            symbols->list[++kept] = symbols->list[i];
    }
    symbols->count = kept + 1;
}

/* "ffffffff81000000 T name" and, of a module, "\t[module]". */
static void take_line(struct vh_symbols *symbols, char *line)
{
    char *name = strchr(line, ' ');
    struct vh_symbol *symbol;
    bool module;
    char *end;

    name = name && name[1] && name[2] == ' ' ? name + 3 : NULL;
    if (!name)
        return;
    end = name + strcspn(name, "\t\n");
    module = *end == '\t';
    *end = 0;
    symbol = find(symbols, name);
    if (!symbol)
        return;
    symbol->there = true;
    symbol->module |= module;
}

int vh_symbols_read(struct vh_symbols *symbols, const char *path)
{
    vh_autofree char *line = NULL;
    size_t size = 0;
    FILE *file;

    sort(symbols);
    file = fopen(path, "re");
    if (!file)
        return -errno;
    while (getline(&line, &size, file) > 0)
        take_line(symbols, line);
    fclose(file);
    symbols->read = true;
    return 0;
}

const struct vh_symbol *vh_symbols_find(const struct vh_symbols *symbols, const char *name)
{
    const struct vh_symbol *symbol = symbols->read ? find(symbols, name) : NULL;

    return symbol && symbol->there ? symbol : NULL;
}

void vh_symbols_free(struct vh_symbols *symbols)
{
    free(symbols->list);
    *symbols = (struct vh_symbols){0};
}
