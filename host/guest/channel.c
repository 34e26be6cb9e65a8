// SPDX-License-Identifier: GPL-2.0-or-later
// Serves a guest's channel: its bytes to the session, what the session says to facts and programs.
#include <sodium.h>
#include <string.h>

#include "guest/state.h"

static uint64_t new_number(void)
{
    uint64_t number = 0;

    while (!number)
        randombytes_buf(&number, sizeof(number));
    return number;
}

/* ---- the session ---- */

static size_t on_room(gpointer data)
{
    return vh_port_room(((VhGuest *)data)->port);
}

static void on_send(const uint8_t *bytes, size_t len, gpointer data)
{
    vh_port_send(((VhGuest *)data)->port, bytes, len);
}

static void on_up(const struct vh_hello *hello, gpointer data)
{
    VhGuest *guest = data;

    guest->hello = *hello;
    guest->hints = 0;
    guest->lost = 0;
    vh_guest_set_problem(guest, "");
    vh_guest_tell(guest, "connect", "the injector has answered", hello->release);
    vh_programs_up(guest->programs, guest->session, hello->boot_id);
    vh_guest_begin_pulse(guest);
}

static void on_down(const char *why, gpointer data)
{
    VhGuest *guest = data;

    vh_guest_end_pulse(guest);
    vh_facts_clear(guest->facts);
    vh_programs_down(guest->programs);
    guest->cpu_count = 0;
    guest->batch = 0;
    guest->deferred = 0;
    vh_guest_join_cpus(guest);
    vh_guest_set_problem(guest, why);
    vh_guest_tell(guest, "disconnect", why, NULL);
    vh_guest_touch(guest, "the guest's injector is not connected any longer");
}

/* A CPU that QEMU has not told of may have been plugged in since. */
static bool unknown_cpu(const VhGuest *guest)
{
    for (uint32_t cpu = 0; cpu < guest->map.count; cpu++)
        if (guest->map.cpus[cpu].online && guest->map.cpus[cpu].vcpu < 0)
            return true;
    return false;
}

static void on_cpus(const struct vh_cpu *cpus, uint32_t count, gpointer data)
{
    VhGuest *guest = data;

    memcpy(guest->cpus, cpus, count * sizeof(cpus[0]));
    guest->cpu_count = count;
    vh_guest_join_cpus(guest);
    if (guest->monitor_ready && unknown_cpu(guest))
        vh_guest_query_vcpus(guest);
    vh_guest_touch(guest, "the guest's CPUs have changed");
}

static void on_programs(const struct vh_program *programs, uint32_t count, gpointer data)
{
    VhGuest *guest = data;

    guest->lost = 0;
    for (uint32_t i = 0; i < count; i++)
        guest->lost += programs[i].lost;
    vh_programs_report(guest->programs, programs, count);
}

static void on_gone(uint32_t id, gpointer data)
{
    VhGuest *guest = data;

    vh_guest_show(guest);
    if (vh_facts_drop(guest->facts, id))
        vh_guest_touch(guest, "the program that said so is gone");
}

static void on_step(const char *what, const char *why, gpointer data)
{
    vh_guest_show(data);
    vh_guest_tell(data, what, why, NULL);
}

static void on_injected(gpointer data)
{
    VhGuest *guest = data;

    vh_guest_show(guest);
    if (!guest->leaving)
        guest->funcs->injected(guest, guest->data);
}

static void on_ended(gpointer data)
{
    vh_guest_settle(data);
}

static void on_trouble(uint32_t program, const char *text, gpointer data)
{
    vh_programs_trouble(((VhGuest *)data)->programs, program, text);
}

static void on_answered(gpointer data)
{
    vh_programs_go_on(((VhGuest *)data)->programs);
}

static void on_complaint(const char *text, gpointer data)
{
    VhGuest *guest = data;

    vh_guest_complain(guest, "protocol", text);
    if (!vh_session_is_up(guest->session))
        vh_guest_set_problem(guest, text);
}

static const struct vh_session_funcs session_funcs = {
    .room = on_room,
    .send = on_send,
    .may_begin = vh_guest_may_begin,
    .up = on_up,
    .down = on_down,
    .cpus = on_cpus,
    .programs = on_programs,
    .hints = vh_guest_on_hints,
    .snapshot = vh_guest_on_snapshot,
    .trouble = on_trouble,
    .asked = vh_guest_on_asked,
    .answered = on_answered,
    .complaint = on_complaint,
};

const struct vh_programs_funcs vh_guest_programs_funcs = {
    .gone = on_gone, .step = on_step, .injected = on_injected, .ended = on_ended};

/* ---- the channel ---- */

static void on_received(const uint8_t *bytes, size_t len, gpointer data)
{
    VhGuest *guest = data;

    vh_session_receive(guest->session, bytes, len);
    vh_guest_settle(guest);
}

static void on_writable(gpointer data)
{
    vh_session_flush(((VhGuest *)data)->session);
}

void vh_guest_close_channel(VhGuest *guest)
{
    vh_session_free(guest->session);
    guest->session = NULL;
    g_clear_pointer(&guest->port, vh_port_free);
}

static void on_channel_closed(gpointer data)
{
    VhGuest *guest = data;

    vh_guest_close_channel(guest);
    vh_guest_settle(guest);
    vh_link_seek(guest->channel_link);
}

static const struct vh_port_funcs port_funcs = {
    .received = on_received, .writable = on_writable, .closed = on_channel_closed};

void vh_guest_on_channel(int fd, gpointer data)
{
    VhGuest *guest = data;

    g_assert(!guest->port && !guest->session);
    guest->port = vh_port_new(guest->turn, fd, &port_funcs, guest);
    guest->session = vh_session_new(new_number(), guest->scratch, &session_funcs, guest);
    vh_guest_set_problem(guest, "no injector has answered yet: start vhint-injector in the guest");
    vh_session_hello(guest->session);
}

void vh_guest_restart_session(VhGuest *guest, const char *why)
{
    if (guest->session)
        vh_session_restart(guest->session, new_number(), why);
    vh_guest_settle(guest);
}
