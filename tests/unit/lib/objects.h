/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Objects that the build has compiled for the tests. */
#pragma once

#include "hint/object.h"

static inline GBytes *test_object_bytes(const char *name)
{
    g_autofree char *file = g_strconcat(name, ".bpf.o", NULL);
    g_autofree char *path = g_build_filename(OBJECTS, file, NULL);
    g_autoptr(GError) error = NULL;
    char *text = NULL;
    gsize size = 0;

    g_file_get_contents(path, &text, &size, &error);
    g_assert_no_error(error);
    return g_bytes_new_take(text, size);
}

static inline VhObject *test_object(const char *name)
{
    g_autoptr(GBytes) bytes = test_object_bytes(name);
    g_autoptr(GError) error = NULL;
    VhObject *object = vh_object_read(bytes, "fallback", &error);

    g_assert_no_error(error);
    return object;
}
