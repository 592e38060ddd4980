/* Ids of names: UUIDv5 as text (RFC 9562 section 5.5), that is SHA-1 (RFC 3174) of a namespace and a name.
 *
 * Law: they are those of canonical/identity.py. Bounds: names are read between ascending ends within their bytes; each
 * id is 36 bytes.
 */
#include "kernel.h"

enum { NAMESPACE_BYTES = 16, BLOCK_BYTES = 64, ID_BYTES = 36 };

static inline uint32_t turned(uint32_t x, int n) { return x << n | x >> (32 - n); }

static inline uint32_t word_at(const uint8_t *p) {
    return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

#define ROUND(f, k)                                                                                                    \
    do {                                                                                                               \
        uint32_t next = turned(a, 5) + (f) + e + (k) + w[t];                                                           \
        e = d, d = c, c = turned(b, 30), b = a, a = next;                                                              \
    } while (0)

static void block_hashed(uint32_t h[5], const uint8_t *block) {
    uint32_t w[80];
    for (int t = 0; t < 16; t++)
        w[t] = word_at(block + 4 * t);
    for (int t = 16; t < 80; t++)
        w[t] = turned(w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16], 1);
    uint32_t a = h[0], b = h[1], c = h[2], d = h[3], e = h[4];
    for (int t = 0; t < 20; t++)
        ROUND((b & c) | (~b & d), 0x5A827999u);
    for (int t = 20; t < 40; t++)
        ROUND(b ^ c ^ d, 0x6ED9EBA1u);
    for (int t = 40; t < 60; t++)
        ROUND((b & c) | (b & d) | (c & d), 0x8F1BBCDCu);
    for (int t = 60; t < 80; t++)
        ROUND(b ^ c ^ d, 0xCA62C1D6u);
    h[0] += a, h[1] += b, h[2] += c, h[3] += d, h[4] += e;
}

/* SHA-1 of a namespace and of n bytes after it. */
static void name_hashed(uint32_t h[5], const uint8_t *namespace, const uint8_t *name, int64_t n) {
    static const uint32_t FIRST[5] = {0x67452301u, 0xEFCDAB89u, 0x98BADCFEu, 0x10325476u, 0xC3D2E1F0u};
    memcpy(h, FIRST, sizeof FIRST);
    uint8_t block[BLOCK_BYTES];
    memcpy(block, namespace, NAMESPACE_BYTES);
    int64_t used = NAMESPACE_BYTES, left = n;
    while (left >= BLOCK_BYTES - used) {
        memcpy(block + used, name + (n - left), (size_t)(BLOCK_BYTES - used));
        left -= BLOCK_BYTES - used;
        block_hashed(h, block);
        used = 0;
    }
    memcpy(block + used, name + (n - left), (size_t)left);
    used += left;
    block[used++] = 0x80;
    if (used > BLOCK_BYTES - 8) {
        memset(block + used, 0, (size_t)(BLOCK_BYTES - used));
        block_hashed(h, block);
        used = 0;
    }
    memset(block + used, 0, (size_t)(BLOCK_BYTES - used));
    uint64_t bits = (uint64_t)(NAMESPACE_BYTES + n) * 8;
    for (int i = 0; i < 8; i++)
        block[BLOCK_BYTES - 1 - i] = (uint8_t)(bits >> 8 * i);
    block_hashed(h, block);
}

/* Write the ids of names to out[0..36 rows). Returns how many; -2 where a name lies outside of bytes[0..size). */
int64_t name_ids(const uint8_t *namespace, const uint8_t *bytes, int64_t size, const int32_t *ends, int64_t rows,
                 uint8_t *out) {
    for (int64_t i = 0; i < rows; i++) {
        int64_t begin = ends[i], end = ends[i + 1];
        if (begin < 0 || end < begin || end > size)
            return -2;
        uint32_t h[5];
        name_hashed(h, namespace, bytes + begin, end - begin);
        h[1] = (h[1] & 0xFFFF0FFFu) | 0x00005000u; /* the version, 5 */
        h[2] = (h[2] & 0x3FFFFFFFu) | 0x80000000u; /* the variant, binary 10 */
        uint8_t *p = out + ID_BYTES * i;
        for (int digit = 0; digit < 32; digit++) {
            if (digit == 8 || digit == 12 || digit == 16 || digit == 20)
                *p++ = '-';
            *p++ = (uint8_t)"0123456789abcdef"[h[digit / 8] >> (28 - digit % 8 * 4) & 15];
        }
    }
    return rows;
}
