/* What the kernels share: bytes eight at a time, and the texts of a column with their codes, from batch to batch.
 *
 * A kernel reads records that are plain and without fault straight into canonical columns. It decides nothing: every
 * other record is left, unread, to the decoder in Python.
 */
#ifndef PLANTSYNC_KERNEL_H
#define PLANTSYNC_KERNEL_H

#include <stdint.h>
#include <string.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the kernels take the first byte of a word for its lowest"
#endif

/* Bytes that may be loaded behind the end of a record. The caller copies the last records of its data to where there
 * are as many. */
enum { SLACK = 64 };

#define EACH 0x0101010101010101ULL
#define HIGH 0x8080808080808080ULL

static inline uint64_t eight(const uint8_t *p) {
    uint64_t x;
    memcpy(&x, p, 8);
    return x;
}

/* High bit of each byte that is a quote, a backslash, a control character or beyond ASCII; above the first, bits may
 * be wrong. */
static inline uint64_t special(uint64_t x) {
    uint64_t quote = x ^ (EACH * '"'), slash = x ^ (EACH * '\\');
    return (((quote - EACH) & ~quote) | ((slash - EACH) & ~slash) | ((x - EACH * 32) & ~x) | x) & HIGH;
}

/* The lowest n bytes of a word, n from 0 to 8. */
static inline uint64_t lowest(uint64_t x, int64_t n) { return n >= 8 ? x : x & ((1ULL << 8 * n) - 1); }

/* Codes of texts are 0 and above. Below: the text makes its record one for the long way; the table is full; or the
 * text is new, and FIRST_NEW - i stands for the i-th new text of this call until Python has given it a code. */
enum { REFUSED = -1, FULL = -2, FIRST_NEW = -3 };
enum { INLINE_BYTES = 16, TEXT_BYTES_MAX = 1024, PROBES_MAX = 64 };

/* A slot of a table; all zeros where it is free. A text longer than INLINE_BYTES is arena[low..low + length). */
struct text {
    uint64_t low, high; /* the text itself, zeros behind it */
    uint64_t hash;
    int32_t used; /* its length in bytes, and one */
    int32_t code;
};

/* The texts of one column that have been met. */
struct texts {
    struct text *slots;
    uint8_t *arena;
    int32_t *added;   /* slots taken in this call, int32[half of the slots] */
    int64_t bits;     /* there are 1 << bits slots, at most half of them taken */
    int64_t count;    /* taken slots */
    int64_t additions;
    int64_t arena_size, arena_used;
};

static inline uint64_t mixed(uint64_t low, uint64_t high) {
    uint64_t h = (low * 0x9E3779B97F4A7C15ULL) ^ (high * 0xC2B2AE3D27D4EB4FULL);
    return (h ^ h >> 32) * 0xFF51AFD7ED558CCDULL;
}

/* The hash of a text of n <= INLINE_BYTES bytes, of which the first 16 are given; what is behind it becomes zeros. */
static inline uint64_t inline_hash(uint64_t *low, uint64_t *high, int64_t n) {
    *high = n <= 8 ? 0 : lowest(*high, n - 8);
    *low = lowest(*low, n);
    return mixed(*low, *high + (uint64_t)n);
}

/* A table of so many slots, 1 << FAR_BITS, is not near the processor any more. */
enum { FAR_BITS = 13 };

/* Have the slot loaded where a text of n <= INLINE_BYTES bytes will be looked for. Always inline, and so must be who
 * calls it: gcc leaves out calls of what has no other effect. */
static inline __attribute__((always_inline)) void text_foreseen(const struct texts *texts, const uint8_t *p, int64_t n) {
    uint64_t low = eight(p), high = eight(p + 8);
    __builtin_prefetch(texts->slots + (inline_hash(&low, &high, n) >> (64 - texts->bits)));
}

/* The code of a text of n bytes behind which SLACK bytes can be loaded; or REFUSED, FULL, or that of a new text. */
static inline int32_t text_code(struct texts *texts, const uint8_t *p, int64_t n) {
    uint64_t low = eight(p), high = eight(p + 8), hash;
    if (n <= INLINE_BYTES) {
        hash = inline_hash(&low, &high, n);
    } else {
        if (n > TEXT_BYTES_MAX)
            return REFUSED;
        hash = (uint64_t)n;
        for (int64_t i = 0; i < n; i += 16) {
            int64_t rest = n - i;
            hash = mixed(lowest(eight(p + i), rest) ^ hash, rest <= 8 ? 0 : lowest(eight(p + i + 8), rest - 8));
        }
        high = 0;
    }
    uint64_t mask = (1ULL << texts->bits) - 1, at = hash >> (64 - texts->bits);
    for (int probe = 0; probe < PROBES_MAX; probe++, at = (at + 1) & mask) {
        struct text *slot = texts->slots + at;
        if (slot->used == n + 1) {
            if (n <= INLINE_BYTES ? slot->low == low && slot->high == high
                                  : slot->hash == hash && !memcmp(texts->arena + slot->low, p, (size_t)n))
                return slot->code;
        } else if (!slot->used) {
            if (texts->count * 2 >= 1LL << texts->bits)
                return FULL;
            if (n > INLINE_BYTES) {
                if (texts->arena_size - texts->arena_used < n)
                    return FULL;
                low = (uint64_t)texts->arena_used;
                memcpy(texts->arena + low, p, (size_t)n);
                texts->arena_used += n;
            }
            *slot = (struct text){low, high, hash, (int32_t)n + 1, (int32_t)(FIRST_NEW - texts->additions)};
            texts->added[texts->additions++] = (int32_t)at;
            texts->count++;
            return slot->code;
        }
    }
    return REFUSED; /* Such crowds are made, not met: their time is bounded, and the long way reads the record. */
}

#endif
