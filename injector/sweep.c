// SPDX-License-Identifier: GPL-2.0-or-later
// Removes facts that a walk does not confirm: see sweep.h.
#include "sweep.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cleanup.h"

int vh_written_add(struct vh_written *written, const void *bytes, size_t len)
{
    if (len > written->size - written->len) {
        size_t size = 2 * (written->len + len);
        uint8_t *grown = realloc(written->bytes, size);

        if (!grown)
            return -ENOMEM;
        written->bytes = grown;
        written->size = size;
    }
    if (len > 0)
        memcpy(written->bytes + written->len, bytes, len);
    written->len += len;
    return 0;
}

void vh_cleanup_written(struct vh_written *written)
{
    free(written->bytes);
    *written = (struct vh_written){0};
}

void vh_cleanup_table(struct vh_table *table)
{
    free(table->keys);
    free(table->values);
    *table = (struct vh_table){0};
}

static int compare(const void *a, const void *b, void *size)
{
    return memcmp(a, b, *(const size_t *)size);
}

/* Is `key` in the row of `count` sorted keys? */
static int has(const uint8_t *row, size_t count, size_t key_size, const uint8_t *key)
{
    size_t low = 0;
    size_t high = count;

    while (low < high) {
        size_t middle = low + (high - low) / 2;
        int order = memcmp(row + middle * key_size, key, key_size);

        if (order == 0)
            return 1;
        if (order < 0)
            low = middle + 1;
        else
            high = middle;
    }
    return 0;
}

/* Invariant 3: takes out what is still the record that was there before. 1 when it did. */
static int take_out(const struct vh_sweep_ops *ops, void *context, const uint8_t *key,
                    const uint8_t *before, uint8_t *now, size_t value_size)
{
    int error = ops->look(context, key, now);

    if (error == -ENOENT || (error == 0 && memcmp(now, before, value_size) != 0))
        return 0;
    if (error == 0)
        error = ops->take_out(context, key);
    if (error == -ENOENT)
        return 0;
    return error ? error : 1;
}

long vh_sweep(const struct vh_sweep_ops *ops, void *context, size_t key_size, size_t value_size)
{
    vh_autotable struct vh_table before = {0};
    vh_autowritten struct vh_written confirmed = {0};
    vh_autowritten struct vh_written ignored = {0};
    vh_autofree uint8_t *now = malloc(value_size);
    long taken = 0;
    int error = now ? ops->read(context, &before) : -ENOMEM;

    if (error == 0)
        error = ops->walk(context, &confirmed);
    if (error)
        return error;
    if (confirmed.len % key_size != 0)
        return -EBADMSG;
    if (confirmed.len > 0)
        qsort_r(confirmed.bytes, confirmed.len / key_size, key_size, compare, &key_size);
    for (size_t i = 0; i < before.count; i++) {
        const uint8_t *key = before.keys + i * key_size;
        int result = 0;

        if (!has(confirmed.bytes, confirmed.len / key_size, key_size, key))
            result = take_out(ops, context, key, before.values + i * value_size, now, value_size);
        if (result < 0 && error == 0)
            error = result;
        taken += result > 0;
    }
    if (taken > 0) {
        int result = ops->walk(context, &ignored);

        error = error ? error : result;
    }
    return error ? error : taken;
}
