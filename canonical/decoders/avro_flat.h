/* A schema whose data are read field by field, in the order of its plan: records in records are opened.
 *
 * Most fields of such data are numbers and texts that lie in no union, so where the next one begins takes no more than
 * their first bytes. They are read without a look at where the record ends: one takes STRIDE bytes at most, whatever
 * it states, so that whoever has `room_of` bytes before him needs no other bound, and asks at the end where he stands.
 * What is read in such a hurry and turns out not to be of the plainest kind is read again by `value`, which decides.
 */
#ifndef PLANTSYNC_AVRO_FLAT_H
#define PLANTSYNC_AVRO_FLAT_H

#include "avro_values.h"

enum { FIELDS_MAX = 128, STRIDE = 64 };

/* A number, a text, bytes of a known number that nobody asks for; what becomes a whole number, a code; the rest. */
enum way { PASS_NUMBER, PASS_TEXT, PASS_BYTES, TAKE_NUMBER, TAKE_TEXT, OTHER };

struct field {
    enum way way;
    int32_t bytes; /* PASS_BYTES */
    int64_t depth;
    const struct node *node;
};

struct flat {
    int64_t count;
    int64_t items, steps; /* what `value` would have left of them when the records are opened */
    uint64_t seen;        /* columns of TAKE_NUMBER and TAKE_TEXT */
    struct field fields[FIELDS_MAX];
};

static inline int64_t room_of(const struct flat *flat) { return STRIDE * (flat->count + 1); }

/* Where only the end of a datum is looked for (`walked`), any number will do for an int, and any for an enum. */
static inline enum way way_of(const struct job *job, const struct node *node, int walked) {
    const int asked = node->slot >= 0;
    const int64_t role = asked ? job->columns[node->slot].role : 0;
    switch (node->kind) {
    case TEXT:
        return !asked ? PASS_TEXT : role == CODED ? TAKE_TEXT : OTHER;
    case LONG:
    case INT:
        return asked ? role == WHOLE ? TAKE_NUMBER : OTHER : walked || node->kind == LONG ? PASS_NUMBER : OTHER;
    case ENUM:
        return walked ? PASS_NUMBER : OTHER;
    case FLOAT:
    case DOUBLE:
        return asked ? OTHER : PASS_BYTES;
    case FIXED:
        return asked || node->count > STRIDE ? OTHER : PASS_BYTES;
    default:
        return OTHER;
    }
}

/* Note the fields of a record behind those there are. Returns 0 where they are too many, or too deep. */
static int opened(const struct job *job, const struct node *record, int64_t depth, int walked, struct flat *flat) {
    if (depth > job->depth_max)
        return 0;
    flat->items--;
    flat->steps -= record->count;
    const struct node *node = job->nodes + record->first, *behind = node + record->count;
    for (; node < behind; node++) {
        if (node->kind == RECORD) {
            if (!opened(job, node, depth + 1, walked, flat))
                return 0;
            continue;
        }
        if (flat->count == FIELDS_MAX)
            return 0;
        const enum way way = way_of(job, node, walked);
        const int32_t bytes = node->kind == FLOAT ? 4 : node->kind == DOUBLE ? 8 : node->count;
        if (way == TAKE_NUMBER || way == TAKE_TEXT)
            flat->seen |= 1ULL << node->slot;
        flat->fields[flat->count++] = (struct field){way, bytes, depth + 1, node};
    }
    return 1;
}

/* Returns whether the data of the job can be read in this way. */
static inline int flattened(const struct job *job, int walked, struct flat *flat) {
    flat->count = 0;
    flat->items = ITEMS_MAX;
    flat->steps = STEPS_MAX;
    flat->seen = 0;
    return job->nodes->kind == RECORD && opened(job, job->nodes, 1, walked, flat);
}

/* A number of up to eight bytes. Returns where it ends; one that is longer makes `odd` 1. */
static inline const uint8_t *hurried_number(const uint8_t *p, int64_t *value, int32_t *odd) {
    uint64_t x = eight(p), stop = ~x & HIGH;
    *odd |= !stop;
    stop |= 1ULL << 63;
    p += (__builtin_ctzll(stop) >> 3) + 1;
    *value = number_of(x & (stop ^ (stop - 1)) & ~HIGH);
    return p;
}

static inline const uint8_t *hurried_pass(const uint8_t *p, int32_t *odd) {
    uint64_t stop = ~eight(p) & HIGH;
    *odd |= !stop;
    return p + (__builtin_ctzll(stop | 1ULL << 63) >> 3) + 1;
}

/* Whether a field is a union whose branch is null, which its first byte says. */
static inline int is_null(const struct job *job, const struct node *node, const uint8_t *p) {
    return node->kind == UNION && !(*p & 0x81) && *p >> 1 < node->count &&
           job->nodes[node->first + (*p >> 1)].kind == NOTHING;
}

/* A text of up to 63 bytes. */
static inline const uint8_t *hurried_text(const uint8_t *p, int32_t *odd) {
    *odd |= *p & 0x81;
    return p + 1 + (*p >> 1 & (STRIDE - 1));
}

#endif
