/* SPDX-License-Identifier: GPL-2.0-or-later */
/* What a service manager is told of the daemon and gives to it (sd_notify(3), sd_listen_fds(3)).
 * Without one, all of this does nothing. */
#pragma once

#include <glib.h>

/* All is set up, or the reload is done; `status` is for people. */
void vh_service_ready(const char *status);
void vh_service_reloading(void);
void vh_service_stopping(void);
/* One line for people. May wait for the service manager: not for the hint path. */
void vh_service_status(const char *status);

/* The listening stream socket at `path` that the service manager holds for us, non-blocking and
 * close-on-exec; it is the caller's to close, not to remove. -1: it holds none there. */
int vh_service_socket(const char *path);
