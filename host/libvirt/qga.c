// SPDX-License-Identifier: GPL-2.0-or-later
// Passes a guest agent's commands through libvirtd.
#include "libvirt/qga.h"

#include <libvirt/libvirt-qemu.h>
#include <libvirt/virterror.h>

#include "base/error.h"

struct use {
    char *uuid;
    GCancellable *cancellable;
    const struct vh_qga_job *job;
    gpointer data;
    virConnectPtr connection; /* while it works */
};

static void use_free(gpointer data)
{
    struct use *use = data;

    g_object_unref(use->cancellable);
    g_free(use->uuid);
    g_free(use);
}

static enum vh_error_code code_of(const virError *error)
{
    switch (error ? error->code : VIR_ERR_OK) {
    case VIR_ERR_AGENT_UNRESPONSIVE:
    case VIR_ERR_AGENT_UNSYNCED:
        return VH_ERROR_TIMED_OUT;
    case VIR_ERR_INTERNAL_ERROR: /* how it passes on an error of the agent's */
        return VH_ERROR_REFUSED;
    default: /* among others, of a domain without the agent's channel */
        return VH_ERROR_NOT_CONNECTED;
    }
}

/* In a worker. libvirt synchronizes before each command by itself. */
static char *call(const struct vh_qga *agent, const char *command, int seconds, GError **error)
{
    const struct use *use = agent->road;
    virDomainPtr domain = virDomainLookupByUUIDString(use->connection, use->uuid);
    char *answer = domain ? virDomainQemuAgentCommand(domain, command, seconds, 0) : NULL;
    char *copy = g_strdup(answer);
    g_autofree char *text = answer ? NULL : vh_virt_error();
    g_autofree char *why = text ? vh_qga_text(text) : NULL;

    if (!answer)
        g_set_error(error, VH_ERROR, code_of(virGetLastError()), "the guest agent, by libvirt: %s",
                    why);
    free(answer);
    if (domain)
        virDomainFree(domain);
    return copy;
}

/* A connection that is lost is no reason to do it again from the beginning: the guest has the
 * beginning. */
static bool work(virConnectPtr connection, gpointer data)
{
    struct use *use = data;
    struct vh_qga agent = {.call = call, .road = use, .cancellable = use->cancellable};

    use->connection = connection;
    use->job->work(&agent, use->data);
    return true;
}

static void done(gpointer data)
{
    const struct use *use = data;

    use->job->done(use->data);
}

static const struct vh_virt_job virt_job = {.work = work, .done = done, .free = use_free};

void vh_virt_qga_use(VhVirt *virt, const char *uuid, GCancellable *cancellable,
                     const struct vh_qga_job *job, gpointer data)
{
    struct use *use = g_new0(struct use, 1);
    g_autofree char *key = g_strconcat("agent ", uuid, NULL);

    use->uuid = g_strdup(uuid);
    use->cancellable = g_object_ref(cancellable);
    use->job = job;
    use->data = data;
    vh_virt_submit(virt, key, &virt_job, use);
}
