/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Reads frames' payloads, trusting nothing: the one bounds-checked reader of every byte a peer
 * sends.
 *
 * Each vh_msg_* returns 0 and fills its out-parameters, or returns -EBADMSG (a length, count,
 * string, flag or reserved field breaks wire.h's rules) and leaves them untouched. Pointers handed
 * out borrow from the frame. Fixed structs are copied out, so they are aligned and cannot change
 * under the reader. */
#pragma once

#include "frame.h"

/* "HELLO" for VH_HELLO and so on; "?" for a type this version does not know. */
const char *vh_type_name(uint8_t type);

/* A valid program name: 1 to VH_NAME_SIZE - 1 characters of [A-Za-z0-9_.-], not starting with '.'
 * or '-'. */
bool vh_name_valid(const char *name);

int vh_msg_hello(const struct vh_frame *frame, struct vh_hello *hello);
/* The highest version both sides speak, or -EPROTONOSUPPORT. */
int vh_hello_version(const struct vh_hello *hello);

/* "name=value" texts, each with its NUL, of VH_TUNABLES_MAX bytes at most. */
bool vh_tunables_valid(const char *tunables, size_t len);

/* `tunables`: `load->tunables_len` bytes of "name=value" strings, each NUL-terminated (checked). */
int vh_msg_load(const struct vh_frame *frame, struct vh_load *load, const char **tunables);
int vh_msg_chunk(const struct vh_frame *frame, struct vh_chunk *chunk, const uint8_t **data,
                 uint32_t *len);
int vh_msg_unload(const struct vh_frame *frame, struct vh_unload *unload);
int vh_msg_resync(const struct vh_frame *frame, struct vh_resync *resync);
int vh_msg_credit(const struct vh_frame *frame, struct vh_credit *credit);
int vh_msg_ping(const struct vh_frame *frame, struct vh_ping *ping);
int vh_msg_pong(const struct vh_frame *frame, struct vh_pong *pong);
/* `cpus`: room for VH_CPUS_MAX; ascending and unique by number (checked), known APIC ids unique
 * (checked). */
int vh_msg_cpus(const struct vh_frame *frame, struct vh_cpu cpus[VH_CPUS_MAX], uint32_t *count);
/* `programs`: room for VH_PROGRAMS_MAX; names valid and unique, ids non-zero and unique (checked).
 */
int vh_msg_programs(const struct vh_frame *frame, struct vh_program programs[VH_PROGRAMS_MAX],
                    uint32_t *count);
/* `text` and `log` are not NUL-terminated: lengths in `answer`. */
int vh_msg_answer(const struct vh_frame *frame, struct vh_answer *answer, const char **text,
                  const char **log);

/* `text` is not NUL-terminated: its length is in `trouble`. */
int vh_msg_trouble(const struct vh_frame *frame, struct vh_trouble *trouble, const char **text);

/* HINTS and SNAPSHOT: checks the whole batch (every record's size, key size and padding, their
 * number), then hands out the records' bytes for vh_records_next. */
struct vh_records {
    const uint8_t *at;
    uint32_t left; /* bytes */
};
int vh_msg_batch(const struct vh_frame *frame, struct vh_batch *batch, struct vh_records *records);

/* The next record, 8-byte aligned: its header copied to `*hint`, its whole bytes (hint->size of
 * them, header included) returned; NULL when there is none left. Only for records that vh_msg_batch
 * has checked. */
const uint8_t *vh_records_next(struct vh_records *records, struct vh_hint *hint);
