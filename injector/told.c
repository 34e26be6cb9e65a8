// SPDX-License-Identifier: GPL-2.0-or-later
// What jobs and the loop tell the agent alike: that a program is in trouble, and
// that losses are to be looked for.
#include "agent.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "say.h"

uint64_t vh_agent_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void vh_agent_trouble(struct vh_agent *in, struct vh_running *running, const char *text)
{
    const struct vh_left_out *left = &running->loaded.left;
    char trouble[VH_TROUBLE_SIZE] = "";

    if (text[0])
        snprintf(trouble, sizeof(trouble), "%s: %s", running->name, text);
    else if (left->count > 0)
        snprintf(trouble, sizeof(trouble), "%s: this kernel lacks the hooks of %u programs: %s",
                 running->name, left->count, left->text);
    if (strcmp(trouble, running->trouble) == 0)
        return;
    memcpy(running->trouble, trouble, sizeof(trouble));
    if (trouble[0])
        vh_say("%s", trouble);
    if (running->id)
        vh_session_send_trouble(&in->session, running->id);
}

void vh_agent_stir(struct vh_agent *in)
{
    if (in->settles == 0)
        in->settles = vh_agent_now() + VH_SETTLE_NS;
}
