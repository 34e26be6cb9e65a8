// SPDX-License-Identifier: GPL-2.0-or-later
// Answers RESYNC: a snapshot of each program, in parts, for which programs.c gives it turns.
#include "resync.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "send.h"

void vh_resync_request(struct vh_session *s, const struct vh_frame *frame)
{
    struct vh_program programs[VH_PROGRAMS_MAX];
    uint32_t count = s->ops->programs(s->context, programs);
    uint32_t before = s->due_count;
    struct vh_resync resync;

    if (vh_msg_resync(frame, &resync)) {
        vh_session_answer_text(s, frame->id, -EBADMSG,
                               "a RESYNC that breaks the protocol's layout");
        return;
    }
    if (s->due_count > VH_DUE_MAX - VH_PROGRAMS_MAX) {
        vh_session_answer_text(
            s, frame->id, -EBUSY,
            "too many snapshots are under way already; ask again after an ANSWER");
        return;
    }
    for (uint32_t i = 0; i < count; i++) {
        /* Asked by its id, a program without `state` has an empty snapshot. */
        if (resync.program ? programs[i].id == resync.program
                           : programs[i].flags & VH_PROGRAM_STATE)
            s->due[s->due_count++] = (struct vh_due){
                .request = frame->id, .program = programs[i].id, .any = resync.program == 0};
    }
    if (s->due_count > before)
        return;
    if (resync.program)
        vh_session_answer_text(s, frame->id, -ENOENT,
                               "no program of this number runs in the guest");
    else
        vh_session_answer_text(s, frame->id, 0, "");
}

static struct vh_due *find_asked(struct vh_session *s, uint32_t program)
{
    for (uint32_t i = 0; i < s->due_count; i++) {
        if (s->due[i].program == program && s->due[i].asked)
            return &s->due[i];
    }
    return NULL;
}

bool vh_resync_holds(const struct vh_session *s, uint32_t program)
{
    const struct vh_due *due = find_asked((struct vh_session *)s, program);

    return due && due->ready && due->facts.records;
}

static void give_up(struct vh_due *due)
{
    free(due->facts.records);
    due->facts =
        (struct vh_facts){.error = -ENOENT, .text = "the program has been unloaded meanwhile"};
    due->asked = true;
    due->ready = true;
}

void vh_resync_prune(struct vh_session *s, const struct vh_program *programs, uint32_t count)
{
    for (uint32_t i = 0; i < s->due_count; i++) {
        bool runs = false;

        for (uint32_t j = 0; j < count && !runs; j++)
            runs = programs[j].id == s->due[i].program;
        if (!runs)
            give_up(&s->due[i]);
    }
}

void vh_session_facts(struct vh_session *s, struct vh_ticket ticket, uint32_t program,
                      struct vh_facts *facts)
{
    struct vh_due *due = vh_session_waits(s, ticket) ? find_asked(s, program) : NULL;

    if (due && !due->ready && due->request == ticket.request) {
        due->facts = *facts;
        due->ready = true;
    } else {
        free(facts->records);
    }
    *facts = (struct vh_facts){0};
}

/* Takes a due program out. Its request ends with the last of its programs, and with the first error
 * of any. */
static void due_done(struct vh_session *s, struct vh_due *due)
{
    struct vh_due done = *due;
    uint32_t after = (uint32_t)(s->due + s->due_count - due) - 1;

    if (done.facts.error == -ENOENT && done.any)
        done.facts.error = 0; /* unloaded meanwhile; the others are still wanted */
    if (done.error == 0) {
        done.error = done.facts.error;
        memcpy(done.text, done.facts.text, sizeof(done.text));
    }
    free(done.facts.records);
    memmove(due, due + 1, after * sizeof(*due));
    s->due_count--;
    for (uint32_t i = 0; i < s->due_count; i++) {
        if (s->due[i].request != done.request)
            continue;
        s->due[i].error = done.error;
        memcpy(s->due[i].text, done.text, sizeof(done.text));
        return;
    }
    vh_session_answer_text(s, done.request, done.error, done.error ? done.text : "");
}

static size_t record_padded(const uint8_t *record)
{
    struct vh_hint hint;

    memcpy(&hint, record, sizeof(hint));
    return (hint.size + 7u) & ~7u;
}

/* As much of a snapshot's rest as there is room for; false: it has to wait for credit. */
static bool send_part(struct vh_session *s, struct vh_due *due)
{
    struct vh_batch batch = {
        .program = due->program, .seq = due->facts.seq, .lost = due->facts.lost};
    uint8_t *records = due->facts.records + due->sent;
    size_t left = due->facts.len - due->sent;
    struct iovec parts[] = {{.iov_base = &batch, .iov_len = sizeof(batch)}, {.iov_base = records}};
    size_t room = vh_session_payload_room(s, due->program);
    size_t len = 0;

    if (room < sizeof(batch))
        return false;
    room -= sizeof(batch);
    while (len < left && record_padded(records + len) <= room - len) {
        len += record_padded(records + len);
        batch.count++;
    }
    if (left > 0 && len == 0)
        return false;
    batch.flags = (due->sent == 0 ? VH_SNAPSHOT_FIRST : 0) | (len == left ? VH_SNAPSHOT_LAST : 0);
    parts[1].iov_len = len;
    vh_purse_use(&s->purse, due->program, sizeof(batch) + len);
    due->sent += len;
    vh_session_send(s, VH_SNAPSHOT, due->request, parts, 2);
    if (batch.flags & VH_SNAPSHOT_LAST && s->host)
        due_done(s, due);
    return true;
}

bool vh_session_part(struct vh_session *s, uint32_t program)
{
    struct vh_due *due = find_asked(s, program);

    return due && due->ready && due->facts.records && !vh_out_full(&s->out) && send_part(s, due);
}

/* Asks for the facts of all that are due (invariant 5), so that a slow one keeps no other waiting.
 */
static void ask(struct vh_session *s)
{
    for (uint32_t i = 0; i < s->due_count; i++) {
        struct vh_due *due = &s->due[i];

        if (due->asked || find_asked(s, due->program))
            continue;
        due->asked = true;
        s->ops->facts(s->context, (struct vh_ticket){s->epoch, due->request}, due->program);
    }
}

/* One of which there are no facts to be had; NULL: there is none. */
static struct vh_due *find_empty(struct vh_session *s)
{
    for (uint32_t i = 0; i < s->due_count; i++) {
        if (s->due[i].ready && !s->due[i].facts.records)
            return &s->due[i];
    }
    return NULL;
}

void vh_session_pump(struct vh_session *s)
{
    struct vh_due *due;

    do {
        ask(s);
        due = find_empty(s);
        if (due)
            due_done(s, due);
    } while (due && !vh_out_full(&s->out));
}
