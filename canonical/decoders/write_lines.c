/* Columns as lines of JSON, an object a row.
 *
 * Law: numbers and texts are written as canonical/wire.py writes them without this kernel; a text with a character that
 * JSON escapes is left to it.
 *
 * Bounds: of a row, what it takes at most is compared with the room that is left before any of it is written. Texts are
 * read between the ends given, which ascend within the bytes they are of.
 */
#include "kernel.h"

/* A number is a sign and 19 digits at most, and is written eight bytes at a time. */
enum { EIGHT_DIGITS = 100000000, NUMBER_BYTES = 25, SHORT_BYTES = 32 };

/* A column, and what stands before each value of it: the fields that are the same in every row, its name and a colon. */
struct told {
    uint8_t before[SHORT_BYTES]; /* where it is no longer; zeros behind it */
    const uint8_t *long_before;  /* NULL where it is no longer */
    int64_t before_length;
    const int64_t *numbers; /* int64[rows]; NULL where they are texts: bytes[ends[i]..ends[i + 1]) */
    const int32_t *ends;    /* int32[rows + 1] */
    const uint8_t *bytes;
    int64_t size;
};

const int64_t told_bytes = sizeof(struct told);

/* The eight digits of a number below 10^8 as bytes, the first lowest. */
static inline uint64_t eight_digits(uint64_t x) {
    x = x / 10000 | x % 10000 << 32;
    uint64_t hundreds = (x * 10486 >> 20) & 0x0000007F0000007FULL;
    x = hundreds | (x - 100 * hundreds) << 16;
    uint64_t tens = (x * 103 >> 10) & 0x000F000F000F000FULL;
    return tens | (x - 10 * tens) << 8;
}

/* Write a number below 10^8 without leading zeros; eight bytes are written in any case. */
static inline uint8_t *few_digits_told(uint8_t *p, uint64_t x) {
    if (x < 10) {
        *p = (uint8_t)('0' + x);
        return p + 1;
    }
    uint64_t digits = eight_digits(x);
    int64_t zeros = __builtin_ctzll(digits) / 8;
    digits = (digits | EACH * '0') >> 8 * zeros;
    memcpy(p, &digits, 8);
    return p + 8 - zeros;
}

static inline uint8_t *all_digits_told(uint8_t *p, uint64_t x) {
    uint64_t digits = eight_digits(x) | EACH * '0';
    memcpy(p, &digits, 8);
    return p + 8;
}

static inline uint8_t *number_told(uint8_t *p, int64_t number) {
    uint64_t x = number < 0 ? 0 - (uint64_t)number : (uint64_t)number;
    if (number < 0)
        *p++ = '-';
    if (x < EIGHT_DIGITS)
        return few_digits_told(p, x);
    uint64_t high = x / EIGHT_DIGITS;
    if (high < EIGHT_DIGITS)
        return all_digits_told(few_digits_told(p, high), x % EIGHT_DIGITS);
    p = all_digits_told(few_digits_told(p, high / EIGHT_DIGITS), high % EIGHT_DIGITS);
    return all_digits_told(p, x % EIGHT_DIGITS);
}

/* Whether JSON escapes a character of a text. */
static inline int is_escaped(const uint8_t *p, int64_t n) {
    int found = 0;
    for (int64_t i = 0; i < n; i++)
        found |= p[i] < 32 || p[i] == '"' || p[i] == '\\';
    return found;
}

/* Write the rows to out[0..size), each ended by tail[0..tail_length). Returns how many bytes they are; -1 where a text needs
 * escapes, -2 where there is too little room or a text lies outside of its bytes. */
int64_t write_lines(const struct told *columns, int64_t count, int64_t rows, const uint8_t *tail, int64_t tail_length,
                    uint8_t *out, int64_t size) {
    int64_t fixed = tail_length + SHORT_BYTES;
    uint8_t *p = out;
    for (int64_t c = 0; c < count; c++)
        fixed += columns[c].before_length + (columns[c].numbers ? NUMBER_BYTES : 2);
    for (int64_t i = 0; i < rows; i++) {
        int64_t most = fixed;
        for (int64_t c = 0; c < count; c++) {
            const struct told *column = columns + c;
            if (column->numbers)
                continue;
            int64_t begin = column->ends[i], end = column->ends[i + 1];
            if (begin < 0 || end < begin || end > column->size)
                return -2;
            if (is_escaped(column->bytes + begin, end - begin))
                return -1;
            most += end - begin;
        }
        if (out + size - p < most)
            return -2;
        for (int64_t c = 0; c < count; c++) {
            const struct told *column = columns + c;
            if (column->long_before)
                memcpy(p, column->long_before, (size_t)column->before_length);
            else
                memcpy(p, column->before, SHORT_BYTES);
            p += column->before_length;
            if (column->numbers) {
                p = number_told(p, column->numbers[i]);
                continue;
            }
            int64_t begin = column->ends[i], n = column->ends[i + 1] - begin;
            *p++ = '"';
            memcpy(p, column->bytes + begin, (size_t)n);
            p += n;
            *p++ = '"';
        }
        memcpy(p, tail, (size_t)tail_length);
        p += tail_length;
    }
    return p - out;
}
