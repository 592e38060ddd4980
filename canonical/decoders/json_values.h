/* Values of JSON: strings, numbers, instants, and what nobody asked for.
 *
 * Every reader takes where a value begins, which is before the end of its record, and returns where it ends, or 0 where
 * it is not of the plainest kind. A record ends with '}', which ends every number and every word before it; whoever
 * reads a string compares its end with the record's. Up to SLACK bytes behind the record may be loaded.
 */
#ifndef PLANTSYNC_JSON_VALUES_H
#define PLANTSYNC_JSON_VALUES_H

#include "kernel.h"
#include "utf8.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

static const int64_t TENS[] = {1,
                               10,
                               100,
                               1000,
                               10000,
                               100000,
                               1000000,
                               10000000,
                               100000000,
                               1000000000,
                               10000000000,
                               100000000000,
                               1000000000000,
                               10000000000000,
                               100000000000000,
                               1000000000000000,
                               10000000000000000};

static inline int is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }

/* Behind the blank at p, if one is there. Records of a source are alike, so the processor foresees whether; without a
 * branch it would have to wait for the byte before it could go on, twice a member. */
static inline const uint8_t *behind_blank(const uint8_t *p) {
    if (*p == ' ') {
        __asm__ volatile("");
        p++;
    }
    return p;
}

/* How many of the next 16 bytes come before a quote, a backslash, a control character or one beyond ASCII. */
static inline int64_t plain_bytes(const uint8_t *p) {
#if defined(__SSE2__)
    __m128i x = _mm_loadu_si128((const __m128i *)(const void *)p);
    __m128i quote = _mm_cmpeq_epi8(x, _mm_set1_epi8('"')), slash = _mm_cmpeq_epi8(x, _mm_set1_epi8('\\'));
    __m128i other = _mm_cmplt_epi8(x, _mm_set1_epi8(32)); /* signed: those beyond ASCII are negative */
    unsigned found = (unsigned)_mm_movemask_epi8(_mm_or_si128(_mm_or_si128(quote, slash), other));
    return __builtin_ctz(found | 1U << 16);
#else
    uint64_t found = special(eight(p));
    if (found)
        return __builtin_ctzll(found) >> 3;
    found = special(eight(p + 8));
    return found ? 8 + (__builtin_ctzll(found) >> 3) : 16;
#endif
}

/* Length of an escape sequence, 0 where there is none. U+0000 and surrogates are left to the long way. */
static int escape(const uint8_t *p) {
    if (p[1] != 'u')
        return p[1] && strchr("\"\\/bfnrt", p[1]) ? 2 : 0;
    int zeros = 0;
    for (int i = 2; i < 6; i++) {
        if (!is_digit(p[i]) && (uint8_t)((p[i] | 32) - 'a') > 5)
            return 0;
        zeros += p[i] == '0';
    }
    return zeros == 4 || ((p[2] | 32) == 'd' && p[3] > '7') ? 0 : 6;
}

/* Where the closing quote of a string is; p is behind the opening one. */
static inline const uint8_t *closing(const uint8_t *p, const uint8_t *end, int with_escapes) {
    while (p < end) {
        int64_t n = plain_bytes(p);
        p += n;
        if (n == 16)
            continue;
        if (*p == '"')
            return p < end ? p : 0;
        int bytes = *p >= 128 ? utf8_sequence(p) : with_escapes && *p == '\\' ? escape(p) : 0;
        if (!bytes)
            return 0;
        p += bytes;
    }
    return 0;
}

/* The number of digits among the next eight bytes, and what they say. */
static inline int64_t digits(const uint8_t *p, uint64_t *value) {
    uint64_t x = eight(p) ^ (EACH * '0');
    uint64_t others = ((x + EACH * 0x76) | x) & HIGH; /* above the first, bits may be wrong */
    int64_t n = others ? __builtin_ctzll(others) >> 3 : 8;
    if (!n)
        return 0;
    x <<= 8 * (8 - n); /* as if zeros stood before them */
    x = (x * 2561) >> 8 & 0x00FF00FF00FF00FFULL;
    x = (x * 6553601) >> 16 & 0x0000FFFF0000FFFFULL;
    *value = (x * 42949672960001ULL) >> 32;
    return n;
}

/* A decimal without exponent is digits / 10^places; exact in float64 too, for there are at most 2^53 of them. */
struct decimal {
    int64_t digits, places;
};

/* The digits at p, at most 16; returns how many, 17 where there are more. */
static inline int64_t long_digits(const uint8_t *p, int64_t *value) {
    uint64_t first = 0, rest = 0;
    int64_t n = digits(p, &first), further = 0;
    if (n == 8) {
        further = digits(p + 8, &rest);
        if (further == 8 && is_digit(p[16]))
            return 17;
    }
    *value = (int64_t)first * TENS[further] + (int64_t)rest;
    return n + further;
}

/* A number that is not negative, of at most 16 digits that without their point say at most 2^53. */
static inline const uint8_t *number(const uint8_t *p, struct decimal *decimal) {
    int64_t value = 0, count = long_digits(p, &value), places = 0;
    if (!count || count > 16 || ((count > 1) & (*p == '0')))
        return 0;
    p += count;
    if (*p == '.') {
        int64_t part = 0;
        places = long_digits(++p, &part);
        if (!places || count + places > 16)
            return 0;
        value = value * TENS[places] + part;
        p += places;
    }
    if ((*p | 32) == 'e' || value > 1LL << 53)
        return 0;
    *decimal = (struct decimal){value, places};
    return p;
}

static inline double as_float(struct decimal decimal) {
    /* Both are exact, so that the quotient is the float64 nearest to the decimal. */
    double whole = (double)decimal.digits;
    return decimal.places ? whole / (double)TENS[decimal.places] : whole;
}

/* A number from 0 to 2^53 rounded to a whole one, a half to the even one. */
static inline int64_t rounded(double x) {
    const double whole = 4503599627370496.0; /* 2^52: from there on there are no fractions */
    return (int64_t)(x < whole ? (x + whole) - whole : x);
}

enum zone { NO_INSTANT = 0, UTC_INSTANT = 1, LOCAL_INSTANT = 2 };

/* The date of the last instant of a field, `YYYY-MM-DDT` as bytes 0..8 and 3..11. Dates come in runs. */
struct date {
    uint64_t first, last; /* at first two that contradict each other, so that no date is them */
    int64_t day_us;
};

static inline int two(const uint8_t *s, int *wrong) {
    *wrong |= !is_digit(s[0]) | !is_digit(s[1]);
    return (s[0] - '0') * 10 + (s[1] - '0');
}

static __attribute__((noinline)) int read_date(const uint8_t *s, struct date *date) {
    static const uint8_t DAYS[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != ' '))
        return 0;
    int wrong = 0;
    int64_t year = two(s, &wrong) * 100 + two(s + 2, &wrong);
    int month = two(s + 5, &wrong), day = two(s + 8, &wrong);
    if (wrong || year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1)
        return 0;
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > DAYS[month] + (month == 2 && leap))
        return 0;
    /* Days since 1970-01-01 of the proleptic Gregorian calendar, in years that begin in March. */
    int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    *date = (struct date){eight(s), eight(s + 3), days * 86400000000};
    return 1;
}

/* YYYY-MM-DD, T or a blank, hh:mm:ss[.f...], then Z, +hh:mm, -hh:mm or nothing, and a quote. */
static inline const uint8_t *instant(const uint8_t *p, const uint8_t *end, struct date *date, int64_t *us, int *zone) {
    if ((eight(p) != date->first || eight(p + 3) != date->last) && !read_date(p, date))
        return 0;
    /* Two digits, a colon, two digits, a colon, two digits: after this, numbers and zeros. */
    uint64_t x = eight(p + 11) ^ 0x30303A30303A3030ULL;
    if ((((x + 0x7676007676007676ULL) | x) & HIGH) || (x & 0x0000FF0000FF0000ULL))
        return 0;
    int64_t hour = (int64_t)((x & 15) * 10 + (x >> 8 & 15)), minute = (int64_t)((x >> 24 & 15) * 10 + (x >> 32 & 15));
    int64_t second = (int64_t)((x >> 48 & 15) * 10 + (x >> 56));
    if (hour > 23 || minute > 59 || second > 59)
        return 0;
    int64_t micros = 0;
    p += 19;
    if (*p == '.') {
        uint64_t part = 0;
        int64_t places = digits(++p, &part);
        if (!places)
            return 0;
        micros = places <= 6 ? (int64_t)part * TENS[6 - places] : (int64_t)part / TENS[places - 6];
        p += places;
        while (places >= 8 && p < end && is_digit(*p))
            p++;
    }
    if (p >= end)
        return 0;
    int64_t offset_min = 0;
    *zone = UTC_INSTANT;
    if (*p == 'Z') {
        p++;
    } else if (*p == '+' || *p == '-') {
        int wrong = p[3] != ':';
        int hours = two(p + 1, &wrong), minutes = two(p + 4, &wrong);
        if (wrong || hours > 14 || minutes > 59)
            return 0;
        offset_min = (hours * 60 + minutes) * (*p == '-' ? -1 : 1);
        p += 6;
    } else
        *zone = LOCAL_INSTANT;
    *us = date->day_us + (((hour * 60 + minute) - offset_min) * 60 + second) * 1000000 + micros;
    return *p == '"' ? p + 1 : 0;
}

/* The value nobody asked for that begins at p; arrays and objects may nest this much deeper. */
static const uint8_t *skipped(const uint8_t *p, const uint8_t *end, int64_t deeper);

static const uint8_t *skipped_number(const uint8_t *p) {
    p += *p == '-';
    if (!is_digit(*p) || (*p == '0' && is_digit(p[1])))
        return 0;
    while (is_digit(*p))
        p++;
    if (*p == '.') {
        if (!is_digit(*++p))
            return 0;
        while (is_digit(*p))
            p++;
    }
    if ((*p | 32) == 'e') {
        p++;
        p += *p == '+' || *p == '-';
        if (!is_digit(*p))
            return 0;
        while (is_digit(*p))
            p++;
    }
    return p;
}

/* The members of an object or an array, behind its bracket; `close` is the other bracket. */
static const uint8_t *skipped_members(const uint8_t *p, const uint8_t *end, int64_t deeper, uint8_t close) {
    if (*p == close)
        return p + 1;
    for (;;) {
        if (close == '}') {
            const uint8_t *quote = *p == '"' ? closing(p + 1, end, 1) : 0;
            if (!quote || quote[1] != ':')
                return 0;
            p = behind_blank(quote + 2);
        }
        if (p >= end || !(p = skipped(p, end, deeper)) || p >= end)
            return 0;
        if (*p == close)
            return p + 1;
        if (*p != ',')
            return 0;
        p = behind_blank(p + 1);
    }
}

static const uint8_t *skipped(const uint8_t *p, const uint8_t *end, int64_t deeper) {
    switch (*p) {
    case '"':
        p = closing(p + 1, end, 1);
        return p ? p + 1 : 0;
    case '{':
    case '[':
        return deeper > 0 ? skipped_members(p + 1, end, deeper - 1, *p == '{' ? '}' : ']') : 0;
    case 't':
        return memcmp(p, "true", 4) ? 0 : p + 4;
    case 'f':
        return memcmp(p, "false", 5) ? 0 : p + 5;
    case 'n':
        return memcmp(p, "null", 4) ? 0 : p + 4;
    default:
        return skipped_number(p);
    }
}

#endif
