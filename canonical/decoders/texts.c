/* Tables of texts are made larger here; kernel.h says what they are. */
#include "kernel.h"

/* Put the texts of a table into another, which is empty and has room for them. Returns how many found a place; a text
 * without is met again as new. Sizes: 1 << from_bits and 1 << bits slots. */
int64_t texts_moved(const struct text *from, int64_t from_bits, struct text *slots, int64_t bits) {
    uint64_t mask = (1ULL << bits) - 1;
    int64_t moved = 0;
    for (const struct text *text = from; text < from + (1LL << from_bits); text++) {
        if (!text->used)
            continue;
        uint64_t at = text->hash >> (64 - bits);
        for (int probe = 0; probe < PROBES_MAX; probe++, at = (at + 1) & mask) {
            if (!slots[at].used) {
                slots[at] = *text;
                moved++;
                break;
            }
        }
    }
    return moved;
}
