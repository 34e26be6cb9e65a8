/* SPDX-License-Identifier: GPL-2.0-or-later */
#pragma once

/* Removes a directory that a test has made, with all that is in it, and asserts that it is gone. Frees
 * `directory`. */
void scratch_remove(char *directory);
