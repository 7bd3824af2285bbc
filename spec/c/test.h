/*
 * test.h - the least that a C test needs: CHECK says where it failed, RUN
 * counts; test_summary is the last line and the exit status of a program.
 *
 * A test program also ends when it takes longer than a minute of the
 * processor's time, which is how a cost that is not linear shows itself: the
 * inputs for that are so large that any other cost takes hours.
 */
#ifndef CHATBOT_TEST_H
#define CHATBOT_TEST_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

static long test_passed, test_failed; /* tests */
static long test_checks, test_wrong;  /* what CHECK has looked at */

/* What a table-driven test is doing, for the message. */
static const char *test_case = "";

#define CHECK(condition) test_check((condition), #condition, __FILE__, __LINE__)

static inline bool test_check(bool good, const char *text, const char *file,
                              int line)
{
    test_checks++;
    if (good)
        return true;
    if (++test_wrong <= 20)
        fprintf(stderr, "%s:%d: %s%s%s\n", file, line, test_case,
                *test_case != '\0' ? ": " : "", text);
    return false;
}

/* One test: it has failed when a CHECK in it has. */
#define RUN(test) test_run(test)

static inline void test_run(void (*test)(void))
{
    long before = test_wrong;
    test();
    if (test_wrong == before)
        test_passed++;
    else
        test_failed++;
}

static inline void test_begin(void)
{
    const struct rlimit minute = {60, 60};
    setrlimit(RLIMIT_CPU, &minute);
}

static inline int test_summary(void)
{
    if (test_wrong > 0 && test_failed == 0)
        test_failed = 1; /* outside of any RUN */
    printf("%ld checks\n%ld passed, %ld failed\n", test_checks, test_passed,
           test_failed);
    return test_failed > 0;
}

/* The same numbers on every run. */
static inline uint32_t test_random(void)
{
    static uint64_t state = 88172645463325252u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return (uint32_t)(state >> 32);
}

static inline bool test_same(const char *a, size_t a_len, const char *b,
                             size_t b_len)
{
    return a_len == b_len && (a_len == 0 || memcmp(a, b, a_len) == 0);
}

#endif
