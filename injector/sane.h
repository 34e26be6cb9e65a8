/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Looks over an object before libbpf does, which takes much of it on trust: a byte that is wrong
 * may end the process, and with it every program of the guest. Pure.
 *
 * What is checked is what others follow without looking: that sections, strings, symbols,
 * relocations and BTF's types lie where they are said to lie, and refer to what there is. Whether
 * the object makes sense is for libbpf and the kernel to say. */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* 0 or -EINVAL with `text` (VH_TEXT_MAX + 1 bytes). */
int vh_sane_object(const uint8_t *bytes, size_t size, char *text);

/* sane-btf.c: of the section .BTF. */
int vh_sane_btf(const uint8_t *bytes, size_t size, char *text);
/* sane-btf.c: of the section .BTF.ext, whose records are about instructions of sections. */
int vh_sane_btf_ext(const uint8_t *bytes, size_t size, char *text);
