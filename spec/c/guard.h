/*
 * guard.h - copies of an input that end exactly where readable memory ends, so
 * that a parser that looks one byte too far is stopped by the processor. For
 * POSIX systems.
 */
#ifndef CHATBOT_GUARD_H
#define CHATBOT_GUARD_H

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define GUARD_SIZE ((size_t)1 << 20)

/* A copy of `n` bytes (up to GUARD_SIZE), good until the next call with the
 * same `slot` (0 or 1). */
static inline char *guard_copy_to(int slot, const void *s, size_t n)
{
    static char *end[2];

    if (end[slot] == NULL) {
        size_t page = (size_t)sysconf(_SC_PAGESIZE);
        char *base = mmap(NULL, GUARD_SIZE + page, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (base == MAP_FAILED ||
            mprotect(base + GUARD_SIZE, page, PROT_NONE) != 0)
            abort();
        end[slot] = base + GUARD_SIZE;
    }
    if (n > GUARD_SIZE)
        abort();
    if (n > 0)
        memcpy(end[slot] - n, s, n);
    return end[slot] - n;
}

static inline char *guard_copy(const void *s, size_t n)
{
    return guard_copy_to(0, s, n);
}

#endif
