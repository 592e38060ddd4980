/* Where the lines of a text are. */
#include "kernel.h"

#if defined(__SSE2__)
#include <emmintrin.h>

/* One bit for each of 64 bytes that is a line feed, the first lowest. */
static inline uint64_t line_feeds(const uint8_t *p) {
    const __m128i feed = _mm_set1_epi8('\n');
    uint64_t found = 0;
    for (int i = 0; i < 4; i++) {
        __m128i x = _mm_loadu_si128((const __m128i *)(const void *)(p + 16 * i));
        found |= (uint64_t)(uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(x, feed)) << 16 * i;
    }
    return found;
}
#else
static inline uint64_t line_feeds(const uint8_t *p) {
    uint64_t found = 0;
    for (int i = 0; i < 8; i++) {
        uint64_t x = eight(p + 8 * i) ^ (EACH * '\n');
        /* The high bit of each byte that is zero, and no other; then these bits side by side. */
        uint64_t zero = ~(((x & ~HIGH) + ~HIGH) | x | ~HIGH);
        found |= (((zero >> 7) * 0x0102040810204080ULL) >> 56) << 8 * i;
    }
    return found;
}
#endif

struct lines {
    int64_t *starts, *ends; /* int64[room] each */
    int64_t room, count;
    int64_t start; /* of the line that is not ended yet */
};

static inline void ended(struct lines *lines, const uint8_t *data, int64_t end) {
    if (lines->count < lines->room) {
        lines->starts[lines->count] = lines->start;
        lines->ends[lines->count] = end - (end > lines->start && data[end - 1] == '\r');
    }
    lines->count++;
    lines->start = end + 1;
}

/* Write where lines begin and where they end, without LF or CRLF; the last may lack its end. Returns how many there
 * are, of which only `room` are written. */
int64_t line_spans(const uint8_t *data, int64_t size, int64_t *starts, int64_t *ends, int64_t room) {
    struct lines lines = {starts, ends, room, 0, 0};
    int64_t at = 0;
    for (; size - at >= 64; at += 64)
        for (uint64_t found = line_feeds(data + at); found; found &= found - 1)
            ended(&lines, data, at + __builtin_ctzll(found));
    for (; at < size; at++)
        if (data[at] == '\n')
            ended(&lines, data, at);
    if (lines.start < size)
        ended(&lines, data, size);
    return lines.count;
}
