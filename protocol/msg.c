// SPDX-License-Identifier: GPL-2.0-or-later
// Reads payloads through one bounds-checked cursor: see msg.h for the contract.
#include "msg.h"

#include <errno.h>
#include <string.h>

#define RECORD_ALIGN 8u

/* What is left of a payload. */
struct cursor {
    const uint8_t *at;
    size_t left;
};

static struct cursor cursor_of(const struct vh_frame *frame)
{
    return (struct cursor){.at = frame->data, .left = frame->len};
}

/* The next `len` bytes, or NULL when there are fewer. */
static const uint8_t *cursor_take(struct cursor *c, size_t len)
{
    const uint8_t *at = c->at;

    if (len > c->left)
        return NULL;
    c->at += len;
    c->left -= len;
    return at;
}

/* Copies the next `len` bytes out. */
static bool cursor_copy(struct cursor *c, void *out, size_t len)
{
    const uint8_t *at = cursor_take(c, len);

    if (!at)
        return false;
    memcpy(out, at, len);
    return true;
}

/* A payload that is exactly one struct of `len` bytes. */
static int copy_whole(const struct vh_frame *frame, void *out, size_t len)
{
    if (frame->len != len)
        return -EBADMSG;
    memcpy(out, frame->data, len);
    return 0;
}

static bool terminated(const char *text, size_t size)
{
    return memchr(text, 0, size) != NULL;
}

const char *vh_type_name(uint8_t type)
{
    switch ((enum vh_type)type) {
    case VH_HELLO:
        return "HELLO";
    case VH_LOAD:
        return "LOAD";
    case VH_CHUNK:
        return "CHUNK";
    case VH_UNLOAD:
        return "UNLOAD";
    case VH_LIST:
        return "LIST";
    case VH_RESYNC:
        return "RESYNC";
    case VH_CREDIT:
        return "CREDIT";
    case VH_PING:
        return "PING";
    case VH_CPUS:
        return "CPUS";
    case VH_PROGRAMS:
        return "PROGRAMS";
    case VH_HINTS:
        return "HINTS";
    case VH_SNAPSHOT:
        return "SNAPSHOT";
    case VH_ANSWER:
        return "ANSWER";
    case VH_PONG:
        return "PONG";
    case VH_TROUBLE:
        return "TROUBLE";
    }
    return "?";
}

bool vh_name_valid(const char *name)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
    size_t len = strlen(name);

    return len > 0 && len < VH_NAME_SIZE && strspn(name, allowed) == len && name[0] != '.' &&
           name[0] != '-';
}

static bool name_field_valid(const char name[VH_NAME_SIZE])
{
    return terminated(name, VH_NAME_SIZE) && vh_name_valid(name);
}

int vh_msg_hello(const struct vh_frame *frame, struct vh_hello *hello)
{
    struct vh_hello h;

    /* Later versions may append; what they append is theirs. */
    if (frame->len < sizeof(h))
        return -EBADMSG;
    memcpy(&h, frame->data, sizeof(h));
    if (h.magic != VH_HELLO_MAGIC || h.session == 0 || h.version_min > h.version_max ||
        h.version_min == 0)
        return -EBADMSG;
    if (h.role != VH_ROLE_HOST && h.role != VH_ROLE_GUEST)
        return -EBADMSG;
    if (!terminated(h.release, sizeof(h.release)) || !terminated(h.agent, sizeof(h.agent)))
        return -EBADMSG;
    *hello = h;
    return 0;
}

int vh_hello_version(const struct vh_hello *hello)
{
    int highest = hello->version_max < VH_WIRE_MAX ? hello->version_max : VH_WIRE_MAX;
    int lowest = hello->version_min > VH_WIRE_MIN ? hello->version_min : VH_WIRE_MIN;

    return highest >= lowest ? highest : -EPROTONOSUPPORT;
}

bool vh_tunables_valid(const char *tunables, size_t len)
{
    if (len > VH_TUNABLES_MAX)
        return false;
    while (len > 0) {
        const char *end = memchr(tunables, 0, len);
        const char *equals = end ? memchr(tunables, '=', (size_t)(end - tunables)) : NULL;

        if (!equals || equals == tunables)
            return false;
        len -= (size_t)(end + 1 - tunables);
        tunables = end + 1;
    }
    return true;
}

int vh_msg_load(const struct vh_frame *frame, struct vh_load *load, const char **tunables)
{
    struct cursor c = cursor_of(frame);
    struct vh_load l;
    const char *text;

    if (!cursor_copy(&c, &l, sizeof(l)) || !name_field_valid(l.name))
        return -EBADMSG;
    if ((l.flags & ~VH_LOAD_REPLACE) != 0 || l.reserved != 0 || l.reserved2 != 0)
        return -EBADMSG;
    if (l.tunables_len != c.left)
        return -EBADMSG;
    text = (const char *)cursor_take(&c, l.tunables_len);
    if (!vh_tunables_valid(text, l.tunables_len))
        return -EBADMSG;
    *load = l;
    *tunables = text;
    return 0;
}

int vh_msg_chunk(const struct vh_frame *frame, struct vh_chunk *chunk, const uint8_t **data,
                 uint32_t *len)
{
    struct cursor c = cursor_of(frame);
    struct vh_chunk k;

    if (!cursor_copy(&c, &k, sizeof(k)) || k.reserved != 0 || c.left == 0 || c.left > VH_CHUNK_MAX)
        return -EBADMSG;
    *chunk = k;
    *data = c.at;
    *len = (uint32_t)c.left;
    return 0;
}

int vh_msg_unload(const struct vh_frame *frame, struct vh_unload *unload)
{
    struct vh_unload u;

    if (copy_whole(frame, &u, sizeof(u)) || !name_field_valid(u.name))
        return -EBADMSG;
    *unload = u;
    return 0;
}

int vh_msg_resync(const struct vh_frame *frame, struct vh_resync *resync)
{
    return copy_whole(frame, resync, sizeof(*resync));
}

int vh_msg_credit(const struct vh_frame *frame, struct vh_credit *credit)
{
    return copy_whole(frame, credit, sizeof(*credit));
}

int vh_msg_ping(const struct vh_frame *frame, struct vh_ping *ping)
{
    return copy_whole(frame, ping, sizeof(*ping));
}

int vh_msg_pong(const struct vh_frame *frame, struct vh_pong *pong)
{
    return copy_whole(frame, pong, sizeof(*pong));
}

/* Ascending and unique by number; APIC ids unique. */
static bool cpus_valid(const struct vh_cpu *cpus, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (cpus[i].cpu >= VH_CPUS_MAX || (cpus[i].flags & ~VH_CPU_ONLINE) != 0)
            return false;
        if (i > 0 && cpus[i].cpu <= cpus[i - 1].cpu)
            return false;
        for (uint32_t j = 0; j < i; j++) {
            if (cpus[j].apic_id == cpus[i].apic_id && cpus[i].apic_id != VH_APIC_UNKNOWN)
                return false;
        }
    }
    return true;
}

int vh_msg_cpus(const struct vh_frame *frame, struct vh_cpu cpus[VH_CPUS_MAX], uint32_t *count)
{
    struct cursor c = cursor_of(frame);
    struct vh_cpus head;
    struct vh_cpu list[VH_CPUS_MAX];

    if (!cursor_copy(&c, &head, sizeof(head)) || head.count > VH_CPUS_MAX || head.reserved != 0)
        return -EBADMSG;
    if (c.left != head.count * sizeof(list[0]) ||
        !cursor_copy(&c, list, head.count * sizeof(list[0])))
        return -EBADMSG;
    if (!cpus_valid(list, head.count))
        return -EBADMSG;
    memcpy(cpus, list, head.count * sizeof(list[0]));
    *count = head.count;
    return 0;
}

static bool programs_valid(const struct vh_program *programs, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (programs[i].id == 0 || !name_field_valid(programs[i].name) || programs[i].reserved != 0)
            return false;
        if ((programs[i].flags & ~(VH_PROGRAM_HINTS | VH_PROGRAM_STATE)) != 0)
            return false;
        for (uint32_t j = 0; j < i; j++) {
            if (programs[j].id == programs[i].id || strcmp(programs[j].name, programs[i].name) == 0)
                return false;
        }
    }
    return true;
}

int vh_msg_programs(const struct vh_frame *frame, struct vh_program programs[VH_PROGRAMS_MAX],
                    uint32_t *count)
{
    struct cursor c = cursor_of(frame);
    struct vh_programs head;
    struct vh_program list[VH_PROGRAMS_MAX];

    if (!cursor_copy(&c, &head, sizeof(head)) || head.count > VH_PROGRAMS_MAX || head.reserved != 0)
        return -EBADMSG;
    if (c.left != head.count * sizeof(list[0]) ||
        !cursor_copy(&c, list, head.count * sizeof(list[0])))
        return -EBADMSG;
    if (!programs_valid(list, head.count))
        return -EBADMSG;
    memcpy(programs, list, head.count * sizeof(list[0]));
    *count = head.count;
    return 0;
}

int vh_msg_answer(const struct vh_frame *frame, struct vh_answer *answer, const char **text,
                  const char **log)
{
    struct cursor c = cursor_of(frame);
    struct vh_answer a;

    if (!cursor_copy(&c, &a, sizeof(a)) || (a.flags & ~VH_ANSWER_LOG_CUT) != 0 || a.reserved != 0)
        return -EBADMSG;
    if (a.text_len > VH_TEXT_MAX || a.log_len > VH_LOG_MAX ||
        c.left != (size_t)a.text_len + a.log_len)
        return -EBADMSG;
    *answer = a;
    *text = (const char *)c.at;
    *log = (const char *)c.at + a.text_len;
    return 0;
}

int vh_msg_trouble(const struct vh_frame *frame, struct vh_trouble *trouble, const char **text)
{
    struct cursor c = cursor_of(frame);
    struct vh_trouble t;

    if (!cursor_copy(&c, &t, sizeof(t)) || t.program == 0 || t.text_len > VH_TEXT_MAX ||
        c.left != t.text_len)
        return -EBADMSG;
    *trouble = t;
    *text = (const char *)c.at;
    return 0;
}

static uint32_t record_padded(uint16_t size)
{
    return (size + RECORD_ALIGN - 1u) & ~(RECORD_ALIGN - 1u);
}

/* Takes one record if it is whole and keeps wire.h's rules. */
static bool record_take(struct cursor *c, struct vh_hint *hint)
{
    if (c->left < sizeof(*hint))
        return false;
    memcpy(hint, c->at, sizeof(*hint));
    if (hint->size < sizeof(*hint) || hint->size > VH_HINT_MAX || hint->reserved != 0)
        return false;
    if (hint->key_size > hint->size - sizeof(*hint) || (hint->flags & ~VH_HINT_GONE) != 0)
        return false;
    return cursor_take(c, record_padded(hint->size)) != NULL;
}

int vh_msg_batch(const struct vh_frame *frame, struct vh_batch *batch, struct vh_records *records)
{
    struct cursor c = cursor_of(frame);
    struct vh_batch b;
    struct vh_hint hint;
    const uint8_t *first;
    size_t len;

    if (!cursor_copy(&c, &b, sizeof(b)) || b.program == 0 || b.reserved != 0)
        return -EBADMSG;
    if ((b.flags & ~(VH_SNAPSHOT_FIRST | VH_SNAPSHOT_LAST)) != 0)
        return -EBADMSG;
    first = c.at;
    len = c.left;
    for (uint32_t i = 0; i < b.count; i++) {
        if (!record_take(&c, &hint))
            return -EBADMSG;
    }
    if (c.left != 0)
        return -EBADMSG;
    *batch = b;
    *records = (struct vh_records){.at = first, .left = (uint32_t)len};
    return 0;
}

const uint8_t *vh_records_next(struct vh_records *records, struct vh_hint *hint)
{
    struct cursor c = {.at = records->at, .left = records->left};
    const uint8_t *record = records->at;

    if (c.left == 0 || !record_take(&c, hint))
        return NULL;
    records->at = c.at;
    records->left = (uint32_t)c.left;
    return record;
}
