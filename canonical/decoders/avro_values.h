/* The values of an Avro record: where each ends, and what becomes of those that are asked for.
 *
 * Law: a record is read here only if it is sound, within the bounds, and without fault; then its columns are what
 * canonical/decoders/avro_lockstep.py and canonicalise.py would find. Every other record is left to them, unread.
 *
 * A schema comes as nodes. The fields of a record and the branches of a union are nodes that follow each other, so
 * that a type that holds itself needs no more of them.
 *
 * Bounds: nothing outside data[0..size) and the tail is read, and nothing written but columns by row. Nesting is
 * limited by depth_max, items and nested records by ITEMS_MAX, and fields and items together by STEPS_MAX, so time
 * and stack are bounded whatever counts the bytes state.
 * Source: Avro 1.12 specification, Binary Encoding.
 */
#ifndef PLANTSYNC_AVRO_VALUES_H
#define PLANTSYNC_AVRO_VALUES_H

#include "kernel.h"
#include "utf8.h"

enum kind { NOTHING, BOOLEAN, INT, LONG, FLOAT, DOUBLE, TEXT, FIXED, ENUM, RECORD, UNION, ARRAY, MAP };
enum role { CODED, SYMBOL, WRITTEN, WHOLE, EXACT, ROUNDED };
enum { ITEMS_MAX = 10000, STEPS_MAX = 1 << 17, DIGITS_MAX = 20 };

struct node {
    int32_t kind;
    int32_t slot;  /* place of its column, -1 where nobody asks */
    int32_t first; /* of the fields, the branches; the node of an item */
    int32_t count; /* fields, branches, symbols; bytes of a FIXED; of an ARRAY, whether its items take bytes */
};

/* What becomes of a value. A record with a value that does not fit is left. */
struct column {
    int64_t role;
    struct texts *texts;    /* CODED, WRITTEN (a whole number as text): codes */
    const int32_t *symbols; /* SYMBOL: codes of the symbols of an enum, below 0 for one that makes a fault */
    int64_t low, high;      /* WHOLE: what it may be; EXACT, ROUNDED: what may be written */
    int64_t factor, divisor; /* WHOLE: value * factor / divisor, rounded down */
    double largest;         /* EXACT, ROUNDED: from 0 to this, times factor; EXACT: if that is a whole number */
    void *values;           /* int32[rows] for codes, int64[rows] for numbers */
};

struct job {
    const uint8_t *data;
    int64_t size;
    const uint8_t *tail; /* data[tail_from..size) and SLACK bytes */
    int64_t tail_from;
    const int64_t *starts, *ends; /* int64[rows] */
    int64_t rows;
    const struct node *nodes; /* the first is the record, or the datum */
    struct column *columns;   /* at most 64 */
    uint64_t required;        /* one bit for each column that a record must have a value for */
    int64_t depth_max;
    uint8_t *read; /* uint8[rows]: 1 where the record was read */
};

struct at { /* a record that is being read */
    const struct job *job;
    const uint8_t *end, *limit; /* of the record, and of what can be loaded */
    int64_t row, items, steps;  /* items, steps: how many are left */
    uint64_t seen;              /* columns that have a value */
    int full;                   /* a table of texts has no room for another */
};

/* Every reader takes where a value begins and returns where it ends, 0 where it is not sound. Where reading stands is
 * handed on and not kept in memory: each value waits for the one before. */

/* A number of which no more is known. */
static __attribute__((noinline)) const uint8_t *long_number(const struct at *at, const uint8_t *p, int64_t *value) {
    uint64_t bits = 0;
    uint8_t byte;
    int size = 0;
    do {
        if (p >= at->end || size == 10)
            return 0;
        byte = *p++;
        if (size == 9 && byte > 1)
            return 0; /* more than 64 bits */
        bits |= (uint64_t)(byte & 0x7F) << 7 * size;
        size++;
    } while (byte > 0x7F);
    *value = (int64_t)(bits >> 1) ^ -(int64_t)(bits & 1);
    return p;
}

/* The zig-zag number whose digits of seven bits are the bytes of x, each without its high bit. */
static inline int64_t number_of(uint64_t x) {
    x = (x & 0x007F007F007F007FULL) | (x & 0x7F007F007F007F00ULL) >> 1;
    x = (x & 0x00003FFF00003FFFULL) | (x & 0x3FFF00003FFF0000ULL) >> 2;
    x = (x & 0x000000000FFFFFFFULL) | (x & 0x0FFFFFFF00000000ULL) >> 4;
    return (int64_t)(x >> 1) ^ -(int64_t)(x & 1);
}

/* A zig-zag number. Its length is not guessed at: that of most is as good as random. */
static inline const uint8_t *number(const struct at *at, const uint8_t *p, int64_t *value) {
    if (at->limit - p < 8)
        return long_number(at, p, value);
    uint64_t x = eight(p), stop = ~x & HIGH;
    if (!stop)
        return long_number(at, p, value);
    p += (__builtin_ctzll(stop) >> 3) + 1;
    *value = number_of(x & (stop ^ (stop - 1)) & ~HIGH); /* the bytes up to the one that ends the number */
    return p <= at->end ? p : 0;
}

/* A number that is nearly always of one byte: the length of a text, the branch of a union, a count. */
static inline const uint8_t *small_number(const struct at *at, const uint8_t *p, int64_t *value) {
    if (p < at->end && *p < 0x80) {
        uint8_t byte = *p;
        *value = (int64_t)(byte >> 1) ^ -(int64_t)(byte & 1);
        return p + 1;
    }
    return number(at, p, value);
}

/* Whether these bytes are UTF-8 (RFC 3629). */
static __attribute__((noinline)) int is_utf8(const uint8_t *p, const uint8_t *end) {
    while (p < end) {
        uint8_t c = *p;
        if (c < 0x80) {
            p++;
            continue;
        }
        if (end - p < utf8_length(c))
            return 0;
        int n = utf8_sequence(p);
        if (!n)
            return 0;
        p += n;
    }
    return 1;
}

/* Whether n bytes, behind which 16 can be loaded, are UTF-8. */
static inline int is_text(const uint8_t *p, int64_t n) {
    if (n <= INLINE_BYTES) {
        uint64_t low = lowest(eight(p), n), high = n <= 8 ? 0 : lowest(eight(p + 8), n - 8);
        return !((low | high) & HIGH) || is_utf8(p, p + n);
    }
    return is_utf8(p, p + n);
}

static inline int coded(struct at *at, struct column *column, const uint8_t *text, int64_t length) {
    int32_t code = is_text(text, length) ? text_code(column->texts, text, length) : REFUSED;
    ((int32_t *)column->values)[at->row] = code;
    if (code >= 0 || code <= FIRST_NEW)
        return 1;
    at->full = code == FULL;
    return 0;
}

/* Rounds what is from 0 to 2^53 to the nearest whole number, of two to the even one. */
static inline double rounded(double x) {
    const double two_52 = 4503599627370496.0;
    return x < two_52 ? (x + two_52) - two_52 : x;
}

static int fractional(struct at *at, int32_t slot, double x) {
    struct column *column = at->job->columns + slot;
    at->seen |= 1ULL << slot;
    if (!(x >= 0 && x <= column->largest)) /* NaN is neither */
        return 0;
    double factor = (double)column->factor, written = rounded(x * factor);
    if (column->role == EXACT && written / factor != x)
        return 0;
    int64_t number = (int64_t)written;
    ((int64_t *)column->values)[at->row] = number;
    return number >= column->low && number <= column->high;
}

/* A whole number, written in decimal digits, as a text. */
static __attribute__((noinline)) int digits_coded(struct at *at, struct column *column, int64_t x) {
    uint8_t text[DIGITS_MAX + SLACK] = {0};
    uint64_t left = x < 0 ? 0 - (uint64_t)x : (uint64_t)x;
    int at_digit = DIGITS_MAX;
    do
        text[--at_digit] = (uint8_t)('0' + left % 10);
    while (left /= 10);
    if (x < 0)
        text[--at_digit] = '-';
    return coded(at, column, text + at_digit, DIGITS_MAX - at_digit);
}

static inline int whole(struct at *at, int32_t slot, int64_t x) {
    if (slot < 0)
        return 1;
    struct column *column = at->job->columns + slot;
    at->seen |= 1ULL << slot;
    switch (column->role) {
    case WHOLE:
        if (x < column->low || x > column->high)
            return 0;
        x *= column->factor;
        if (column->divisor != 1)
            x = x / column->divisor - (x % column->divisor < 0);
        ((int64_t *)column->values)[at->row] = x;
        return 1;
    case SYMBOL:
        ((int32_t *)column->values)[at->row] = column->symbols[x];
        return column->symbols[x] >= 0;
    default:
        return digits_coded(at, column, x);
    }
}

static inline const uint8_t *floating(struct at *at, const uint8_t *p, const struct node *node) {
    int width = node->kind == FLOAT ? 4 : 8;
    double x;
    if (at->end - p < width)
        return 0;
    if (node->slot < 0)
        return p + width;
    if (width == 4) {
        float narrow;
        memcpy(&narrow, p, 4);
        x = (double)narrow;
    } else
        memcpy(&x, p, 8);
    return fractional(at, node->slot, x) ? p + width : 0;
}

static inline const uint8_t *bytes(struct at *at, const uint8_t *p, int32_t slot, int64_t length) {
    if (length < 0 || length > at->end - p)
        return 0;
    if (slot >= 0) {
        at->seen |= 1ULL << slot;
        if (!coded(at, at->job->columns + slot, p, length))
            return 0;
    }
    return p + length;
}

/* Fields are read where the loop over them is: a call for each takes as long as reading it. */
#define HERE static inline __attribute__((always_inline))
#define APART static __attribute__((noinline))

APART const uint8_t *record(struct at *at, const uint8_t *p, const struct node *node, int64_t depth);
APART const uint8_t *blocks(struct at *at, const uint8_t *p, const struct node *node, int64_t depth);

HERE const uint8_t *value(struct at *at, const uint8_t *p, const struct node *node, int64_t depth) {
    int64_t x;
    while (node->kind == UNION) {
        p = small_number(at, p, &x);
        if (!p || x < 0 || x >= node->count)
            return 0;
        node = at->job->nodes + node->first + x; /* no union lies directly in a union */
    }
    switch (node->kind) {
    case NOTHING:
        return p;
    case TEXT:
        p = small_number(at, p, &x);
        return p ? bytes(at, p, node->slot, x) : 0;
    case LONG:
        p = number(at, p, &x);
        return p && whole(at, node->slot, x) ? p : 0;
    case INT:
        p = number(at, p, &x);
        return p && x >= INT32_MIN && x <= INT32_MAX && whole(at, node->slot, x) ? p : 0;
    case ENUM:
        p = small_number(at, p, &x);
        return p && x >= 0 && x < node->count && whole(at, node->slot, x) ? p : 0;
    case FLOAT:
    case DOUBLE:
        return floating(at, p, node);
    case BOOLEAN: /* nobody asks for one */
        return p < at->end && *p <= 1 ? p + 1 : 0;
    case FIXED:
        return bytes(at, p, node->slot, node->count);
    case RECORD:
        return --at->items >= 0 ? record(at, p, node, depth) : 0;
    default:
        return blocks(at, p, node, depth);
    }
}

/* Pass over the items of an array or a map. */
APART const uint8_t *blocks(struct at *at, const uint8_t *p, const struct node *node, int64_t depth) {
    const struct node *item = at->job->nodes + node->first;
    int64_t count, size, length;
    if (depth > at->job->depth_max)
        return 0;
    for (;;) {
        const uint8_t *expected = 0;
        if (!(p = small_number(at, p, &count)))
            return 0;
        if (!count)
            return p;
        if (count < 0) {
            if (count < -ITEMS_MAX || !(p = number(at, p, &size)) || size < 0 || size > at->end - p)
                return 0;
            expected = p + size;
            count = -count;
        }
        if (count > at->items || count > at->steps)
            return 0;
        at->items -= count;
        at->steps -= count;
        if (node->kind == MAP || node->count)
            for (; count; count--) {
                if (node->kind == MAP && (!(p = small_number(at, p, &length)) || !(p = bytes(at, p, -1, length))))
                    return 0;
                if (!(p = value(at, p, item, depth + 1)))
                    return 0;
            }
        if (expected && p != expected)
            return 0;
    }
}

APART const uint8_t *record(struct at *at, const uint8_t *p, const struct node *node, int64_t depth) {
    const struct node *field = at->job->nodes + node->first, *behind = field + node->count;
    at->steps -= node->count;
    if (depth > at->job->depth_max || at->steps < 0)
        return 0;
    for (; field < behind; field++)
        if (!(p = value(at, p, field, depth + 1)))
            return 0;
    return p;
}

#endif
