/* SPDX-License-Identifier: GPL-2.0-or-later */
/* File descriptors that are kept free of what grows with guests and their threads.
 *
 * GLib ends the process when it finds none where it needs one, and whoever wants to know why no
 * more guests are served has to get through. So what is held for each guest or thread leaves the
 * reserve alone, and fails like an open(2) without it. */
#pragma once

/* A new descriptor, or -1 and errno, as open(2) and its like return it; one of the reserve is
 * closed, and -1 is returned with EMFILE. */
int vh_descriptors_take(int fd);

/* How many clients may be served out of the reserve, `most` at most. */
unsigned vh_descriptors_clients(unsigned most);
