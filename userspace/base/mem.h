/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ownership helpers. A local that owns something carries a cleanup attribute, and every hand-over
 * is spelled SC_TAKE_PTR or SC_TAKE_FD, so that one function can be read as leak-free on its own.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SC_ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define SC_MIN(a, b)                           \
	({                                     \
		__typeof__(a) sc_a_ = (a);     \
		__typeof__(b) sc_b_ = (b);     \
		sc_a_ < sc_b_ ? sc_a_ : sc_b_; \
	})
#define SC_MAX(a, b)                           \
	({                                     \
		__typeof__(a) sc_a_ = (a);     \
		__typeof__(b) sc_b_ = (b);     \
		sc_a_ > sc_b_ ? sc_a_ : sc_b_; \
	})

/* Gives the value up: the local is NULL (or -1) afterwards and its cleanup does nothing. */
#define SC_TAKE_PTR(p)                        \
	({                                    \
		__typeof__(p) *sc_p_ = &(p);  \
		__typeof__(p) sc_v_ = *sc_p_; \
		*sc_p_ = NULL;                \
		sc_v_;                        \
	})
#define SC_TAKE_FD(fd)              \
	({                          \
		int *sc_p_ = &(fd); \
		int sc_v_ = *sc_p_; \
		*sc_p_ = -1;        \
		sc_v_;              \
	})

/* Closes *fd unless it is negative, keeps errno, and leaves -1 behind. */
void sc_close(int *fd);

static inline void sc_free_p_(void *p)
{
	free(*(void **)p);
}

static inline void sc_fclose_p_(FILE **f)
{
	if (*f)
		fclose(*f);
}

#define _cleanup_(f)      __attribute__((cleanup(f)))
#define _cleanup_free_    _cleanup_(sc_free_p_)
#define _cleanup_close_   _cleanup_(sc_close)
#define _cleanup_fclose_  _cleanup_(sc_fclose_p_)
#define _printf_(fmt, va) __attribute__((format(printf, fmt, va)))

/* Our own mistakes end the process with a place; checked in release builds too. Never for input. */
_Noreturn void sc_assert_failed(const char *expr, const char *file, int line);
#define SC_ASSERT(e) ((e) ? (void)0 : sc_assert_failed(#e, __FILE__, __LINE__))
