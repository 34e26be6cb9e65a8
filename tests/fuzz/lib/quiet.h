/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a stranger causes is told as warnings, and none of them is wrong: they are not printed. A
 * critical one is. */
#pragma once

void log_begin(void);
