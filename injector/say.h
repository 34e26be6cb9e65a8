/* SPDX-License-Identifier: GPL-2.0-or-later */
/* Tells the guest's operator something, on standard error. */
#pragma once

#include <stdarg.h>
#include <stdio.h>

static inline __attribute__((format(printf, 1, 2))) void vh_say(const char *format, ...)
{
    va_list args;

    va_start(args, format);
    fputs("vhint-injector: ", stderr);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
}
