/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Removes a directory that a test has made, with all that is in it, and asserts that it is gone.
 * Frees `directory`. */
void scratch_remove(char *directory);

/* Makes `path` below it, and the directories between, or replaces what was there: no reader sees
 * half of it. */
void scratch_write(const char *directory, const char *path, const char *text);
