/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What the injector says of itself and its guest in a HELLO. */
#pragma once

#include "wire.h"

/* boot_id, release and agent; the session fills the rest in. */
struct vh_hello vh_identity_hello(void);

/* A session's number: not 0, and unlike others. Never waits for randomness. */
__u64 vh_identity_number(void);
