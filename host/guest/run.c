// SPDX-License-Identifier: GPL-2.0-or-later
// Follows where a guest runs: here, standing still, on its way to another QEMU, or there.
//
// Theory of operation. Only QEMU's run state (query-status) says where a guest is. Events say that
// it may have changed: STOP and RESUME when vCPUs stop or go on, MIGRATION whenever a migration
// gets on. So each event is a question. Only the answer to the last question counts, since an
// earlier answer may be older than the event. What the states mean:
//
//     running          its vCPUs run                                   here, goes on
//     finish-migrate   its vCPUs have stopped, the rest of it is sent  undecided: ask again
//       with postcopy  it runs there already, and its memory follows   away
//     postmigrate      another QEMU has it, or a file                  away
//     all others       paused, inmigrate, io-error, shutdown ...       here, stands still
//
//              postmigrate, or finish-migrate with postcopy
//       here --------------------------------------------------> away
//            <--------------------------------------------------
//              any state but these two; the monitor is gone
//
// Undecided means that the last decision stays. QEMU need not send an event when it ends, so the
// question is asked again after AGAIN_MIN_MS, then after twice as long each time, up to
// AGAIN_MAX_MS; an event begins anew with the shortest wait.
//
// A QEMU that has handed its guest over stays behind, stopped, until somebody ends it, or lets it
// go on because nothing came of the other. Going away voids what was known of the guest and undoes
// what was done for it: another host looks after it now. Coming back asks for its vCPUs anew.
// Beside `away` there are three flags: `still` (its vCPUs do not run), and from MIGRATION's status
// `migrating` and `postcopy`. What is measured while `still` or `migrating` says nothing.
#include <string.h>

#include "base/json.h"
#include "guest/state.h"

#define AGAIN_MIN_MS 20u
#define AGAIN_MAX_MS 1000u

static void set_still(VhGuest *guest, bool still)
{
    if (guest->still == still)
        return;
    guest->still = still;
    vh_guest_touch(guest, still ? "the guest stands still" : "the guest goes on");
}

static void leave(VhGuest *guest)
{
    if (guest->away)
        return;
    vh_guest_tell(guest, "leave", "it has migrated, or was saved to a file", NULL);
    /* Its memory is on its way with it: nothing is to be put back here. */
    vh_ram_device_monitor(guest->ram, NULL);
    /* The channel stays: while a machine stands still QEMU does not notice that one is closed, and
     * what the guest writes once it goes on, before the next one is there, stops all that it writes
     * for good (QEMU 7.2). */
    vh_guest_restart_session(guest, "the guest has migrated, or was saved to a file");
    guest->away = true;
    vh_guest_set_vcpus(guest, g_array_new(FALSE, TRUE, sizeof(struct vh_vcpu)), 0,
                       "the guest has migrated");
}

static void come_back(VhGuest *guest)
{
    if (!guest->away)
        return;
    guest->away = false;
    vh_guest_tell(guest, "return", "QEMU lets it go on here", NULL);
    vh_ram_device_monitor(guest->ram, guest->monitor);
    vh_guest_query_vcpus(guest);
}

static gboolean on_again(gpointer data)
{
    VhGuest *guest = data;

    guest->run_timer = 0;
    guest->run_wait = MIN(2 * guest->run_wait, AGAIN_MAX_MS);
    vh_guest_query_run(guest);
    return G_SOURCE_REMOVE;
}

static void take_status(VhGuest *guest, const char *status)
{
    bool undecided = g_str_equal(status, "finish-migrate");

    if (g_str_equal(status, "postmigrate") || (undecided && guest->postcopy))
        leave(guest);
    else if (!undecided)
        come_back(guest);
    set_still(guest, !g_str_equal(status, "running"));
    vh_guest_settle(guest);
    if (undecided && !guest->postcopy && !guest->run_timer)
        guest->run_timer = g_timeout_add(guest->run_wait, on_again, guest);
}

static void on_status(JsonNode *result, const char *error, gpointer data)
{
    VhGuest *guest = data;
    const char *status = vh_json_member_text(vh_json_object(result), "status", NULL);

    (void)error;
    if (vh_question_answered(&guest->about_run, 0) && status && guest->monitor_ready)
        take_status(guest, status);
}

void vh_guest_ask_run(gpointer data)
{
    VhGuest *guest = data;

    vh_qmp_command(guest->monitor, "query-status", NULL, on_status, guest);
}

void vh_guest_query_run(VhGuest *guest)
{
    vh_question_ask(&guest->about_run);
}

/* libvirt does so by itself. While a migration is under way QEMU refuses, and has been told before.
 */
static void want_events(VhGuest *guest)
{
    JsonObject *arguments = json_object_new();
    JsonArray *list = json_array_new();
    JsonObject *events = json_object_new();

    json_object_set_string_member(events, "capability", "events");
    json_object_set_boolean_member(events, "state", TRUE);
    json_array_add_object_element(list, events);
    json_object_set_array_member(arguments, "capabilities", list);
    vh_qmp_command(guest->monitor, "migrate-set-capabilities", arguments, NULL, NULL);
}

void vh_guest_follow_run(VhGuest *guest)
{
    guest->run_wait = AGAIN_MIN_MS;
    if (guest->monitor_link)
        want_events(guest);
    vh_guest_query_run(guest);
}

void vh_guest_forget_run(VhGuest *guest)
{
    g_clear_handle_id(&guest->run_timer, g_source_remove);
    vh_question_drop(&guest->about_run);
    guest->away = guest->still = guest->migrating = guest->postcopy = false;
}

static void on_migration(VhGuest *guest, JsonObject *details)
{
    static const char *const ends[] = {"none", "cancelled", "completed", "failed", NULL};
    const char *status = vh_json_member_text(details, "status", NULL);
    bool migrating = status && !g_strv_contains(ends, status);

    if (!status)
        return;
    guest->postcopy = g_str_has_prefix(status, "postcopy");
    if (migrating != guest->migrating)
        vh_guest_touch(guest, migrating ? "the guest is being migrated"
                                        : "the guest's migration has ended");
    guest->migrating = migrating;
    vh_guest_settle(guest);
}

void vh_guest_follow_migration(VhGuest *guest, JsonObject *details)
{
    on_migration(guest, details);
    vh_guest_look_at_run(guest);
}

void vh_guest_look_at_run(VhGuest *guest)
{
    guest->run_wait = AGAIN_MIN_MS;
    vh_guest_query_run(guest);
}

const char *vh_guest_unsteady(const VhGuest *guest)
{
    if (guest->migrating)
        return "the guest was being migrated meanwhile";
    return guest->still ? "the guest stood still meanwhile" : NULL;
}
