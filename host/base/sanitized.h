/* SPDX-License-Identifier: GPL-2.0-or-later */
/* VH_SANITIZED: 1 in a build under AddressSanitizer or ThreadSanitizer, whose runtimes need system
 * calls that filters forbid; 0 in any other. */
#pragma once

#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define VH_SANITIZED 1
#endif
#endif
#if !defined(VH_SANITIZED) && (defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__))
#define VH_SANITIZED 1
#endif
#ifndef VH_SANITIZED
#define VH_SANITIZED 0
#endif
