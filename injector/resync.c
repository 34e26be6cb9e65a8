/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Answers RESYNC: one snapshot after another, each in as many parts as credit and the way out
 * allow. */
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
        s->due[s->due_count - 1].ends_request = true;
    else if (resync.program)
        vh_session_answer_text(s, frame->id, -ENOENT,
                               "no program of this number runs in the guest");
    else
        vh_session_answer_text(s, frame->id, 0, "");
}

/* Takes the first due program out; its request ends with `error` when it failed or was the
 * request's last. */
static void due_done(struct vh_session *s, int error)
{
    struct vh_due done = s->due[0];
    uint32_t gone = 1;

    if (error == -ENOENT && done.any)
        error = 0; /* unloaded meanwhile; the others are still wanted */
    while (error && gone < s->due_count && s->due[gone].request == done.request)
        gone++; /* the rest of a failed request */
    s->due_count -= gone;
    memmove(s->due, s->due + gone, s->due_count * sizeof(s->due[0]));
    s->sending = false;
    free(s->facts.records);
    s->facts = (struct vh_facts){0};
    if (error)
        vh_session_answer_text(s, done.request, error,
                               error == -ENOENT ? "the program has been unloaded meanwhile"
                                                : "the program's facts could not be read");
    else if (done.ends_request)
        vh_session_answer_text(s, done.request, 0, "");
}

static size_t record_padded(const uint8_t *record)
{
    struct vh_hint hint;

    memcpy(&hint, record, sizeof(hint));
    return (hint.size + 7u) & ~7u;
}

/* Sends the next part of the snapshot under way; false when it has to wait for credit. */
static bool send_part(struct vh_session *s)
{
    struct vh_batch batch = {
        .program = s->due[0].program, .seq = s->facts.seq, .lost = s->facts.lost};
    uint8_t *records = s->facts.records + s->facts_sent;
    size_t left = s->facts.len - s->facts_sent;
    struct iovec parts[] = {{.iov_base = &batch, .iov_len = sizeof(batch)}, {.iov_base = records}};
    size_t room = vh_session_payload_room(s);
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
    batch.flags =
        (s->facts_sent == 0 ? VH_SNAPSHOT_FIRST : 0) | (len == left ? VH_SNAPSHOT_LAST : 0);
    parts[1].iov_len = len;
    s->credit -= sizeof(batch) + len;
    s->facts_sent += len;
    vh_session_send(s, VH_SNAPSHOT, s->due[0].request, parts, 2);
    if (batch.flags & VH_SNAPSHOT_LAST && s->host)
        due_done(s, 0);
    return true;
}

void vh_session_pump(struct vh_session *s)
{
    while (s->due_count > 0 && !vh_out_full(&s->out)) {
        if (!s->sending) {
            int error = s->ops->facts(s->context, s->due[0].program, &s->facts);

            if (error) {
                due_done(s, error);
                continue;
            }
            s->sending = true;
            s->facts_sent = 0;
        }
        if (!send_part(s))
            return;
    }
}
