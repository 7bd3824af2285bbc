/*
 * think.h - the thoughts that some models write before their answer, as text.
 *
 * A filter for text in pieces: what stands between <think> and </think> at the
 * head of an answer is reasoning, what follows is the answer, without the
 * blanks in between. An answer with another head passes as it is. Pure, and
 * linear in its input: at most a tag is held back.
 */
#ifndef CHATBOT_THINK_H
#define CHATBOT_THINK_H

#include <stdbool.h>
#include <stddef.h>

enum think_state {
    THINK_OFF = 0, /* also: it is over, the rest is the answer */
    THINK_HEAD,    /* blanks, or the beginning of <think> */
    THINK_INSIDE,
    THINK_BEHIND /* blanks between the tag and the answer */
};

/* All zero is a filter that passes everything; THINK_HEAD begins one. */
struct think {
    enum think_state state;
    size_t matched; /* bytes of the awaited tag */
    size_t held;    /* bytes in `head` */
    char head[32];  /* what may be the head, or may be text */
};

struct think_piece {
    const char *s; /* good until the next call */
    size_t n;
    bool reasoning;
};

/* Takes the next piece out of the `*n` bytes at `*s`, which move on. False when
 * they are used up. */
bool think_next(struct think *t, const char **s, size_t *n,
                struct think_piece *piece);

/* The text has ended: what was held back. False when nothing was. */
bool think_end(struct think *t, struct think_piece *piece);

#endif
