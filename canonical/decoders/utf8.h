/* UTF-8 as RFC 3629 has it: nothing overlong, no surrogates, nothing beyond U+10FFFF. */
#ifndef PLANTSYNC_UTF8_H
#define PLANTSYNC_UTF8_H

#include <stdint.h>

/* Length of the sequence that begins with this byte, 0 where none does. */
static inline int utf8_length(uint8_t first) {
    if (first < 0x80)
        return 1;
    return first >= 0xC2 && first <= 0xDF ? 2 : (first & 0xF0) == 0xE0 ? 3 : first >= 0xF0 && first <= 0xF4 ? 4 : 0;
}

/* Length of the sequence at p, 0 where there is none; as many bytes as its first one says can be read. */
static inline int utf8_sequence(const uint8_t *p) {
    uint8_t c = p[0];
    int n = utf8_length(c);
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] > 0x9F) || (c == 0xF0 && p[1] < 0x90) ||
        (c == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

#endif
