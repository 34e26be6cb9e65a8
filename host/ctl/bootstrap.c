// SPDX-License-Identifier: GPL-2.0-or-later
// vhintctl bootstrap: has the daemon bring the injector into a guest.
#include <stdio.h>

#include "ctl/ctl.h"

int vh_ctl_bootstrap(struct vh_ctl *ctl, GError **error)
{
    const char *guest = ctl->args[0];
    g_autoptr(GVariant) answer =
        vh_ctl_call(ctl, "Bootstrap", g_variant_new("(s)", guest), "(a{sv})", true, NULL, error);
    if (answer == NULL)
        return -1;
    g_autoptr(GVariant) result = g_variant_get_child_value(answer, 0);
    if (ctl->json) {
        vh_ctl_print_variant_json(result);
        return VH_EXIT_OK;
    }
    gboolean already = FALSE;
    const char *path = "", *how = "", *injector = "?", *release = "?";
    (void)g_variant_lookup(result, "already", "b", &already);
    (void)g_variant_lookup(result, "path", "&s", &path);
    (void)g_variant_lookup(result, "how", "&s", &how);
    (void)g_variant_lookup(result, "injector", "&s", &injector);
    (void)g_variant_lookup(result, "release", "&s", &release);
    const char *until = path[0] ? ", until it ends or the guest boots" : "";
    if (g_str_equal(how, "systemd"))
        until = ", until the guest's next boot, and systemd restarts it";
    g_autofree char *line = NULL;
    if (already)
        line =
            g_strdup_printf("%s has an injector already: %s, kernel %s", guest, injector, release);
    else
        line = g_strdup_printf("%s: %s answers, kernel %s%s%s%s", guest, injector, release,
                               path[0] ? "; it is in " : "", path, until);
    g_autofree char *printable = vh_text_printable(line, false);
    puts(printable);
    return VH_EXIT_OK;
}
