// SPDX-License-Identifier: GPL-2.0-or-later
// Asks a guest's monitor for its vCPUs, and for what must be known before them.
#include "guest/state.h"
#include "qemu/vcpus.h"

static void take_answer(VhGuest *guest, GArray *vcpus, const struct vh_thread_id *process,
                        const char *error)
{
    if (!guest->monitor_ready || guest->away) {
        if (vcpus)
            g_array_unref(vcpus);
        return;
    }
    vh_guest_set_vcpu_problem(guest, vcpus ? "" : error);
    if (!vcpus) {
        vh_guest_tell(guest, "vCPUs", error, NULL);
        vcpus = g_array_new(FALSE, TRUE, sizeof(struct vh_vcpu));
    }
    vh_guest_set_vcpus(guest, vcpus, process, "the guest's vCPUs have changed");
}

static void on_vcpus(GArray *vcpus, const struct vh_thread_id *process, const char *error,
                     gpointer data)
{
    VhGuest *guest = data;
    gint64 before = guest->asked_at;

    take_answer(guest, vcpus, process, error);
    /* A monitor that has been closed meanwhile is asked nothing more. */
    vh_question_answered(&guest->about_vcpus,
                         guest->monitor ? vh_qmp_spent(guest->monitor) - before : 0);
}

/* The last answer ends it, as a monitor answers in order. */
void vh_guest_ask_vcpus(gpointer data)
{
    VhGuest *guest = data;

    g_assert(guest->monitor);
    guest->asked_at = vh_qmp_spent(guest->monitor);
    vh_guest_query_iothreads(guest);
    vh_guest_query_kvm(guest);
    vh_guest_query_nodes(guest);
    vh_guest_query_nics(guest);
    vh_vcpus_query(guest->monitor, on_vcpus, guest);
}

void vh_guest_query_vcpus(VhGuest *guest)
{
    if (!guest->away)
        vh_question_ask(&guest->about_vcpus);
}
