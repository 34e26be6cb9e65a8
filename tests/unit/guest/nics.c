/* SPDX-License-Identifier: GPL-2.0-or-later */
/* host/guest/nics.c: a guest's network interfaces, asked for where policy lets it have offloads. */
#include <string.h>

#include "guest/state.h"
#include "lib/guest-stage.h"
#include "lib/loop.h"

#define ASK "human-monitor-command"
#define NIC(mac, tap) \
    "\"net0: index=0,type=nic,model=virtio-net-pci,macaddr=" mac "\\r\\n" \
    " \\\\ host0: index=0,type=tap,ifname=" tap ",script=no\\r\\n\""

/* No kind of offload has to be there for that. */
static void allow(struct guest_stage *f)
{
    ((VhGuestPolicy *)f->guest->policy)->offload.kinds = 1;
}

static const char *tap_of(struct guest_stage *f)
{
    unsigned count = 0;
    const char *problem = NULL;
    const struct vh_nic *nics = vh_guest_nics(f->guest, &count, &problem);

    return count ? nics[0].tap : problem;
}

static void test_asked(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_up(f);
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, ASK), ==, 0);
    g_assert_null(tap_of(f));
    allow(f);
    fake_monitor_reply(&f->monitor, ASK, NIC("52:54:00:12:34:56", "tap7"));
    fake_monitor_event(&f->monitor, "DEVICE_DELETED", "{}");
    LOOP_UNTIL(g_strcmp0(tap_of(f), "tap7") == 0);
    LOOP_UNTIL(strstr(f->changed->str, "the guest's vCPUs have changed; "));
    guest_stage_assert_changed(f, "the guest's network interfaces have changed; "
                                  "the guest's vCPUs have changed; ");
    /* The same again is no change, and no reason to ask soon. */
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, ASK), ==, 1);
    f->guest->nics_asked = 0;
    vh_guest_look_at_nics(f->guest);
    LOOP_UNTIL(fake_monitor_heard(&f->monitor, ASK));
    guest_stage_turn();
    vh_guest_look_at_nics(f->guest);
    guest_stage_turn();
    g_assert_cmpuint(fake_monitor_heard(&f->monitor, ASK), ==, 0);
    guest_stage_assert_changed(f, "");
    fake_monitor_reply(&f->monitor, ASK, "\"net0: index=0,type=nic,macaddr=52:54:00:12:34:56\\n\"");
    f->guest->nics_asked = 0;
    vh_guest_look_at_nics(f->guest);
    LOOP_UNTIL(g_strcmp0(tap_of(f), "tap7") != 0);
    g_assert_nonnull(strstr(tap_of(f), "not served by a tap"));
}

/* Facts that no rule is about make a round, if they may be an offload's. */
static void test_facts(struct guest_stage *f, G_GNUC_UNUSED gconstpointer data)
{
    guest_stage_set_policy(f, "rules = none\n");
    guest_stage_up(f);
    guest_stage_tasks(f, 100, 1, 1);
    guest_stage_assert_changed(f, "");
    allow(f);
    guest_stage_tasks(f, 101, 1, 1);
    guest_stage_assert_changed(f, "a hint has changed; ");
    g_assert_cmpuint(vh_facts_count(vh_guest_facts(f->guest)), ==, 2);
}

int main(int argc, char **argv)
{
    g_test_init(&argc, &argv, NULL);
#define ADD(name) \
    g_test_add("/guest/nics/" #name, struct guest_stage, "", guest_stage_begin, test_##name, \
               guest_stage_end)
    ADD(asked);
    ADD(facts);
    return g_test_run();
}
