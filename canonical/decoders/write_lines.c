/* Columns as lines, a line a row: JSON objects and arrays, headers, paths.
 *
 * Law: numbers, texts and instants are written as canonical/wire.py writes them without this kernel; a text with a
 * character that JSON escapes, and an instant that RFC 3339 cannot say, are left to it.
 *
 * Bounds: of a row, what it takes at most is compared with the room that is left before any of it is written. Texts are
 * read between the ends given, which ascend within the bytes they are of.
 */
#include "kernel.h"

/* A number is a sign and 19 digits at most, and is written eight bytes at a time; an instant takes 27 bytes. */
enum { EIGHT_DIGITS = 100000000, NUMBER_BYTES = 32, SHORT_BYTES = 32 };

/* How a field is written. Numbers: as they are; with zeros in front, twenty digits; as an instant of so many
 * microseconds. Texts: in quotes; as they are; as a part of a path, what it may not hold as %XX; in quotes, each byte as
 * the character of Latin-1 that it is. */
enum { NUMBER, PADDED, INSTANT, QUOTED, RAW, PERCENT, LATIN1 };

/* A column, and what stands before each value of it: the fields that are the same in every row, its name and a colon. */
struct told {
    uint8_t before[SHORT_BYTES]; /* where it is no longer; zeros behind it */
    const uint8_t *long_before;  /* NULL where it is no longer */
    int64_t before_length;
    int64_t form;
    int64_t left_out;       /* whether a row with an empty text has nothing of this field */
    const uint8_t *items;   /* int64 numbers, or int32 codes of texts, an item each stride; NULL: row i has text i */
    int64_t stride;
    int64_t texts;          /* so many there are: bytes[ends[i]..ends[i + 1]) */
    const int32_t *ends;
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

/* Write a number of 0 or more with twenty digits. */
static inline uint8_t *padded_told(uint8_t *p, uint64_t x) {
    uint64_t high = x / EIGHT_DIGITS, highest = high / EIGHT_DIGITS;
    uint64_t digits = (eight_digits(highest) | EACH * '0') >> 32;
    memcpy(p, &digits, 8);
    return all_digits_told(all_digits_told(p + 4, high % EIGHT_DIGITS), x % EIGHT_DIGITS);
}

enum { DAYS_OF_400_YEARS = 146097, DAYS_BEFORE_1970 = 719468 };
static const int64_t DAY_US = 86400000000, YEAR_1_US = -62135596800000000, YEAR_10000_US = 253402300800000000;

/* Write an instant from the years 1 to 9999 as YYYY-MM-DDTHH:MM:SS.ffffffZ. Days are those of the proleptic Gregorian
 * calendar, counted from the first of March of the year 0, so that the day of the leap year comes last. */
static inline uint8_t *instant_told(uint8_t *p, int64_t us) {
    uint64_t since = (uint64_t)(us + DAYS_BEFORE_1970 * DAY_US), days = since / (uint64_t)DAY_US;
    uint64_t of_day = since % (uint64_t)DAY_US, second = of_day / 1000000;
    uint64_t era = days / DAYS_OF_400_YEARS, of_era = days % DAYS_OF_400_YEARS;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    uint64_t of_year = of_era - (365 * year + year / 4 - year / 100), fifth = (5 * of_year + 2) / 153;
    uint64_t month = fifth < 10 ? fifth + 3 : fifth - 9, day = of_year - (153 * fifth + 2) / 5 + 1;
    year += era * 400 + (month <= 2);
    uint64_t date = eight_digits(year * 10000 + month * 100 + day) | EACH * '0';
    uint64_t time = eight_digits(second / 3600 * 10000 + second / 60 % 60 * 100 + second % 60) | EACH * '0';
    uint64_t micros = (eight_digits(of_day % 1000000) | EACH * '0') >> 16;
    uint8_t from[24];
    memcpy(from, &date, 8);
    memcpy(from + 8, &time, 8);
    memcpy(from + 16, &micros, 8);
    memcpy(p, from, 4);
    p[4] = '-', p[5] = from[4], p[6] = from[5], p[7] = '-', p[8] = from[6], p[9] = from[7], p[10] = 'T';
    p[11] = from[10], p[12] = from[11], p[13] = ':', p[14] = from[12], p[15] = from[13], p[16] = ':';
    p[17] = from[14], p[18] = from[15], p[19] = '.';
    memcpy(p + 20, from + 16, 6);
    p[26] = 'Z';
    return p + 27;
}

/* Whether JSON escapes a character of a text. */
static inline int is_escaped(const uint8_t *p, int64_t n) {
    int found = 0;
    for (int64_t i = 0; i < n; i++)
        found |= p[i] < 32 || p[i] == '"' || p[i] == '\\';
    return found;
}

static inline int is_unreserved(uint8_t c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '.' ||
           c == '_' || c == '~';
}

static inline uint8_t *percent_told(uint8_t *p, const uint8_t *from, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (is_unreserved(from[i])) {
            *p++ = from[i];
            continue;
        }
        *p++ = '%';
        *p++ = (uint8_t)"0123456789ABCDEF"[from[i] >> 4];
        *p++ = (uint8_t)"0123456789ABCDEF"[from[i] & 15];
    }
    return p;
}

static inline uint8_t *latin1_told(uint8_t *p, const uint8_t *from, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (from[i] < 128) {
            *p++ = from[i];
            continue;
        }
        *p++ = (uint8_t)(0xC0 | from[i] >> 6);
        *p++ = (uint8_t)(0x80 | (from[i] & 0x3F));
    }
    return p;
}

static inline int64_t number_of(const struct told *column, int64_t row) {
    int64_t number;
    memcpy(&number, column->items + row * column->stride, 8);
    return number;
}

/* Find the text of a row; how long it is, -1 where it lies outside of its bytes. */
static inline int64_t text_of(const struct told *column, int64_t row, const uint8_t **text) {
    int64_t at = row;
    if (column->items) {
        int32_t code;
        memcpy(&code, column->items + row * column->stride, 4);
        at = code;
    }
    if (at < 0 || at >= column->texts)
        return -1;
    int64_t begin = column->ends[at], end = column->ends[at + 1];
    if (begin < 0 || end < begin || end > column->size)
        return -1;
    *text = column->bytes + begin;
    return end - begin;
}

/* How many bytes all texts of these rows are, -2 where one lies outside of its bytes. Their first bytes are looked at,
 * so that what no cache holds is fetched for many rows at once, and is there when the rows are written. */
int64_t text_lengths(const struct told *column, int64_t rows) {
    int64_t sum = 0;
    uint8_t seen = 0;
    for (int64_t i = 0; i < rows; i++) {
        const uint8_t *text;
        int64_t n = text_of(column, i, &text);
        if (n < 0)
            return -2;
        if (n)
            seen |= *text;
        sum += n;
    }
    return sum + (seen & 0);
}

/* The most that a row takes: of each column what stands before it, and its value. -1 where that is for Python, -2 where a
 * text lies outside of its bytes. */
static inline int64_t room_of(const struct told *columns, int64_t count, int64_t row) {
    int64_t most = 0;
    for (int64_t c = 0; c < count; c++) {
        const struct told *column = columns + c;
        most += column->before_length;
        if (column->form <= INSTANT) {
            int64_t number = column->form == NUMBER ? 0 : number_of(column, row);
            if (column->form == PADDED && number < 0)
                return -1;
            if (column->form == INSTANT && (number < YEAR_1_US || number >= YEAR_10000_US))
                return -1;
            most += NUMBER_BYTES;
            continue;
        }
        const uint8_t *text;
        int64_t n = text_of(column, row, &text);
        if (n < 0)
            return -2;
        if ((column->form == QUOTED || column->form == LATIN1) && is_escaped(text, n))
            return -1;
        most += column->form == PERCENT ? 3 * n : column->form == LATIN1 ? 2 * n + 2 : n + 2;
    }
    return most;
}

/* Write the rows to out[0..size), each ended by tail[0..tail_length), and where each ends to row_ends, int32[rows], unless
 * that is NULL. Returns how many bytes they are; -1 where a row is for Python, -2 where there is too little room or a text
 * lies outside of its bytes. */
int64_t write_lines(const struct told *columns, int64_t count, int64_t rows, const uint8_t *tail, int64_t tail_length,
                    int32_t *row_ends, uint8_t *out, int64_t size) {
    uint8_t *p = out;
    for (int64_t i = 0; i < rows; i++) {
        int64_t most = room_of(columns, count, i);
        if (most < 0)
            return most;
        if (out + size - p < most + tail_length + SHORT_BYTES)
            return -2;
        for (int64_t c = 0; c < count; c++) {
            const struct told *column = columns + c;
            const uint8_t *text = NULL;
            int64_t n = column->form <= INSTANT ? 0 : text_of(column, i, &text);
            if (column->left_out && !n)
                continue;
            if (column->long_before)
                memcpy(p, column->long_before, (size_t)column->before_length);
            else
                memcpy(p, column->before, SHORT_BYTES);
            p += column->before_length;
            switch (column->form) {
            case NUMBER:
                p = number_told(p, number_of(column, i));
                break;
            case PADDED:
                p = padded_told(p, (uint64_t)number_of(column, i));
                break;
            case INSTANT:
                p = instant_told(p, number_of(column, i));
                break;
            case PERCENT:
                p = percent_told(p, text, n);
                break;
            case LATIN1:
                *p++ = '"';
                p = latin1_told(p, text, n);
                *p++ = '"';
                break;
            case QUOTED:
                *p++ = '"';
                memcpy(p, text, (size_t)n);
                p += n;
                *p++ = '"';
                break;
            default:
                memcpy(p, text, (size_t)n);
                p += n;
            }
        }
        memcpy(p, tail, (size_t)tail_length);
        p += tail_length;
        if (row_ends) {
            if (p - out > INT32_MAX)
                return -1;
            row_ends[i] = (int32_t)(p - out);
        }
    }
    return p - out;
}
