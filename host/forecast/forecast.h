/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a policy would do on a host: from guests and their hints, as they are told, to the plan that
 * vhintd would make, by the same rules, survey and placement. Acts on nothing.
 *
 * max-hints defers as it would: each hint counts as come by itself, and a plan before its wait is
 * over goes by what the rules asked for before. Not forecast: how busy the host's CPUs are (it is
 * taken to be idle), and what a trial would find (a pin on trial is shown as if it were kept).
 * Pure: the caller says what time it is, in microseconds that never go back. */
#pragma once

#include <json-glib/json-glib.h>

#include "machine/topology.h"
#include "policy/policy.h"

typedef struct VhForecast VhForecast;

/* `topology` is borrowed, `policy` is referenced. */
VhForecast *vh_forecast_new(VhPolicy *policy, const struct vh_topology *topology);
void vh_forecast_free(VhForecast *forecast);
G_DEFINE_AUTOPTR_CLEANUP_FUNC(VhForecast, vh_forecast_free)

struct vh_forecast_vcpu {
    unsigned index;
    int guest_cpu; /* -1: offline, or not known */
    bool held;     /* to `held_to`, now */
    struct vh_cpuset held_to;
};

/* An IOThread or vhost worker. */
struct vh_forecast_thread {
    bool vhost;
    char name[64]; /* "": not known */
    bool held;
    struct vh_cpuset held_to;
};

#define VH_FORECAST_THREADS_MAX 4096u /* of a guest */

/* A guest as it is told. */
struct vh_forecast_guest {
    char *name, *uuid, *profile; /* "" for none */
    char *title;                 /* what sections match for a name; often the same */
    char *boot_id;               /* "" if not known; another one than before: its facts are void */
    bool nodes_known;
    struct vh_cpuset nodes; /* NUMA nodes of its memory */
    GArray *vcpus;          /* struct vh_forecast_vcpu */
    GArray *threads;        /* struct vh_forecast_thread: IOThreads, then vhost workers */
    bool emulator_held;
    struct vh_cpuset emulator_to;
};
struct vh_forecast_guest *vh_forecast_guest_new(const char *name);
/* Keeps the order. */
void vh_forecast_guest_add_thread(struct vh_forecast_guest *guest,
                                  const struct vh_forecast_thread *thread);
struct vh_forecast_guest *vh_forecast_guest_copy(const struct vh_forecast_guest *guest);
void vh_forecast_guest_free(struct vh_forecast_guest *guest);

/* A guest came, or something is different about it. What it is held to counts when it came, and not
 * later. */
void vh_forecast_tell(VhForecast *forecast, const struct vh_forecast_guest *guest);
/* Has it been told of, and has not left? */
bool vh_forecast_knows(const VhForecast *forecast, const char *name);
void vh_forecast_leave(VhForecast *forecast, const char *name);

/* All of the guest's facts are void. */
void vh_forecast_forget(VhForecast *forecast, const char *name);

/* One hint, all borrowed. */
struct vh_forecast_hint {
    const char *guest, *program, *kind;
    bool gone;
    bool standing; /* one of those that hold, told on request: max-hints does not count it */
    unsigned key_size;
    JsonObject *fields;
};
/* 1: taken; 0: left out, as neither the policy nor the program directory has that program; -1 and
 * VH_ERROR_INVALID_ARGUMENT: an unknown guest, kind or field. */
int vh_forecast_hint(VhForecast *forecast, const struct vh_forecast_hint *hint, gint64 now,
                     GError **error) G_GNUC_WARN_UNUSED_RESULT;

/* When the plan will be another though nothing is told, as of the last plan; -1: never. */
gint64 vh_forecast_next(const VhForecast *forecast);

/* One thread as planned. */
struct vh_forecast_line {
    char *guest;
    int vcpu;     /* index; -1: it is none */
    char *thread; /* "vCPU 3", "emulator", "IOThread io1", "vhost worker" */
    bool held, would;
    struct vh_cpuset before;  /* held: by the plan before, or as told when the guest came */
    struct vh_cpuset planned; /* would */
    bool changes;
    char *reason;
};

/* Plans. Lines of vCPUs, and of other threads that would be held somewhere; valid until the next
 * call. Each plan starts from where the one before has put everything. */
const GPtrArray *vh_forecast_plan(VhForecast *forecast, gint64 now);
/* Takes the lines' `before` from now on from what was told when each guest came (the default), or
 * from the plan before. */
void vh_forecast_by_steps(VhForecast *forecast, bool steps);
/* CPUs that the policy keeps for the host. */
const struct vh_cpuset *vh_forecast_reserve(const VhForecast *forecast);
/* What the last plan could not do, and rules that fit no hint, as texts (char *). */
const GPtrArray *vh_forecast_problems(const VhForecast *forecast);
