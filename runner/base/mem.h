/* SPDX-License-Identifier: Apache-2.0 */
/* Memory that never runs out (we abort; the journal makes a sudden death an
 * ordinary resume), and scoped cleanup. */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

void *mem_new(size_t size); /* zeroed */
void *mem_resize(void *p, size_t size);
char *mem_strdup(const char *s); /* NULL gives NULL */
char *mem_strndup(const char *s, size_t n);
char *mem_printf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
char *mem_vprintf(const char *fmt, va_list ap)
    __attribute__((format(printf, 1, 0)));

/* `CLEANUP(fn) T x` runs fn(&x) when x leaves its scope. */
#define CLEANUP(fn) __attribute__((cleanup(fn)))

/* Hands an owned pointer over: the result is the old value, x is NULL. */
#define steal(x)                                 \
	__extension__({                          \
		__typeof__(*(x)) stolen_ = *(x); \
		*(x) = NULL;                     \
		stolen_;                         \
	})

/* Gives what was freed back to the system: for a process that is about to fork
 * often, which costs by the page. */
void mem_trim(void);
void mem_freep(void *p);  /* CLEANUP(mem_freep) char *s */
void mem_closep(int *fd); /* CLEANUP(mem_closep) int fd = -1 */

#endif
