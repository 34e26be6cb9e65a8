/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What vhint-libvirt-hook sends to vhintd: one message on one connection, then it hangs up.
 *
 * The header, then guest, operation and domain XML, each as long as the header says and without a
 * NUL. Both ends are of one machine and one build: no endianness, no
 * versions to agree on. */
#pragma once

#include <stdint.h>

#define VH_HOOK_PATH "/run/vhint/hook" /* where vhintd listens unless told otherwise */

#define VH_HOOK_MAGIC 0x32484856u /* "VHH2"; another layout gets another number */
#define VH_HOOK_TEXT_MAX 1024u    /* bytes of each argument */
#define VH_HOOK_XML_MAX (1u << 20)
#define VH_HOOK_DEADLINE_MS 50u /* from the hook's start to its end */

/* `flags` of struct vh_hook_header: the XML was left out, and why */
#define VH_HOOK_XML_TOO_LONG 0x1u /* over VH_HOOK_XML_MAX */
#define VH_HOOK_XML_TOO_LATE 0x2u /* not all there in time, or unreadable */

enum vh_hook_text { VH_HOOK_GUEST, VH_HOOK_OPERATION, VH_HOOK_TEXTS };

struct vh_hook_header {
    uint32_t magic;
    uint32_t flags;
    uint32_t text_len[VH_HOOK_TEXTS];
    uint32_t xml_len;
};
