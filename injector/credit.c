// SPDX-License-Identifier: GPL-2.0-or-later
// Shares the host's credit out: see credit.h.
#include "credit.h"

#include <assert.h>

static_assert(VH_CREDIT_SHARE * VH_PROGRAMS_MAX <= VH_CREDIT_INITIAL / 4,
              "what is kept back has a share for each program");

void vh_purse_begin(struct vh_purse *purse, uint64_t credit)
{
    *purse = (struct vh_purse){.credit = credit, .kept = credit / 4};
}

void vh_purse_add(struct vh_purse *purse, uint32_t bytes)
{
    purse->count = 0;
    if (purse->credit <= UINT32_MAX)
        purse->credit += bytes;
}

/* What is there for whoever comes first. */
static uint64_t common(const struct vh_purse *purse)
{
    return purse->credit > purse->kept ? purse->credit - purse->kept : 0;
}

static uint32_t used_by(const struct vh_purse *purse, uint32_t program)
{
    for (uint32_t i = 0; i < purse->count; i++) {
        if (purse->used[i].program == program)
            return purse->used[i].bytes;
    }
    /* Where programs come and go faster than credit, the last ones wait for it. */
    return purse->count < VH_PROGRAMS_MAX ? 0 : VH_CREDIT_SHARE;
}

size_t vh_purse_room(const struct vh_purse *purse, uint32_t program)
{
    uint64_t room = common(purse);
    uint64_t share = VH_CREDIT_SHARE - used_by(purse, program);

    share = share < purse->credit - room ? share : purse->credit - room;
    return (size_t)(room + share);
}

void vh_purse_use(struct vh_purse *purse, uint32_t program, size_t bytes)
{
    uint64_t free = common(purse);
    uint32_t of_share = bytes > free ? (uint32_t)(bytes - free) : 0;
    uint32_t i = 0;

    assert(bytes <= vh_purse_room(purse, program)); /* invariant 1 */
    purse->credit -= bytes;
    if (of_share == 0)
        return;
    while (i < purse->count && purse->used[i].program != program)
        i++;
    if (i == purse->count) {
        purse->used[i].program = program;
        purse->used[i].bytes = 0;
        purse->count++;
    }
    purse->used[i].bytes += of_share;
}
