/* SPDX-License-Identifier: GPL-2.0-or-later */
/* The server's end of a UNIX stream socket; both are non-blocking. */
#pragma once

int listener_open(const char *path);
int listener_accept(int listener);
