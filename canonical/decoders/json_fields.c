/* The mapped fields of many JSON records, in one pass over their bytes.
 *
 * Law: a record is read here only if it is strict JSON (RFC 8259) of the plainest kind, and then its fields
 * are what canonical/decoders/json.py would find; every other record is left to that module, unread.
 * Left alone are records with a backslash in a string, a mapped field of another type than expected, a mapped
 * key that occurs twice, numbers of more than 15 digits or with an exponent, and white space other than one
 * blank after ',' and ':'.
 *
 * Bounds: nothing outside data[0..size) is read. Eight bytes are loaded at once only where eight are left.
 * Every loop advances through the record, and nesting is limited by depth_max, so time and stack are bounded.
 */
#include "kernel.h"

enum kind { SKIP, TEXT, NUMBER, INSTANT, OBJECT };
enum zone { NO_INSTANT, UTC_INSTANT, LOCAL_INSTANT };
enum { KEYS_MAX = 64, DEPTH_LIMIT = 64 };

/* One key of an object that is looked into. Keys of a node follow each other. */
struct key {
    int32_t name, length; /* place of its name in names */
    int32_t kind;
    int32_t slot; /* column of its kind; for OBJECT the node it opens */
};

struct node {
    int32_t first, count; /* its keys */
};

struct job {
    const uint8_t *data;
    const int64_t *starts, *ends; /* int64[rows] */
    int64_t size, rows;
    const uint8_t *names;
    const struct key *keys;
    const struct node *nodes;
    int64_t record_bytes_max, depth_max;
    int64_t buckets; /* of a text column's table: a power of two above rows */
    int32_t *code;   /* int32[texts][rows]: distinct text, -1 for null */
    int32_t *table;  /* int32[texts][buckets], -1 at first */
    int64_t *text_at, *text_length, *distinct; /* int64[texts][rows] twice, int64[texts] */
    double *number;                            /* float64[numbers][rows], NaN for null */
    int64_t *instant_us;                       /* int64[instants][rows] */
    uint8_t *instant_zone;                     /* uint8[instants][rows] */
    uint8_t *read;                             /* uint8[rows]: 1 where the record was read */
};

struct at { /* where reading stands in a record */
    const struct job *job;
    const uint8_t *p, *end, *limit; /* limit: end of the data, for loads of eight bytes */
    int64_t row;
    uint64_t seen;
    uint8_t *expected; /* key of a node's i-th place in the record before: uint8[nodes][KEYS_MAX] */
};

static const double POWERS[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15};

static inline int is_digit(uint8_t c) { return (uint8_t)(c - '0') < 10; }

/* Length of the UTF-8 sequence at p, 0 where there is none (RFC 3629). */
static int sequence(const uint8_t *p, const uint8_t *end) {
    uint8_t c = p[0];
    int n = c >= 0xC2 && c <= 0xDF ? 2 : (c & 0xF0) == 0xE0 ? 3 : c >= 0xF0 && c <= 0xF4 ? 4 : 0;
    if (!n || end - p < n)
        return 0;
    for (int i = 1; i < n; i++)
        if ((p[i] & 0xC0) != 0x80)
            return 0;
    if ((c == 0xE0 && p[1] < 0xA0) || (c == 0xED && p[1] > 0x9F) || (c == 0xF0 && p[1] < 0x90) ||
        (c == 0xF4 && p[1] > 0x8F))
        return 0;
    return n;
}

/* Go behind a string whose opening quote has been passed; return its hash in *hash. 0 where it cannot be read. */
static inline int string(struct at *at, uint64_t *hash) {
    const uint8_t *p = at->p, *end = at->end;
    uint64_t h = 0x9E3779B97F4A7C15ULL;
    for (;;) {
        while (at->limit - p >= 8) {
            uint64_t x = eight(p), found = special(x);
            if (found) {
                int n = __builtin_ctzll(found) >> 3;
                if (n) {
                    h = (h ^ (x & ((1ULL << 8 * n) - 1))) * 0xFF51AFD7ED558CCDULL;
                    h ^= h >> 32;
                }
                p += n;
                break;
            }
            h = (h ^ x) * 0xFF51AFD7ED558CCDULL;
            h ^= h >> 32;
            p += 8;
        }
        while (p < end && *p != '"' && *p != '\\' && *p >= 32 && *p < 128) /* the last bytes of the data */
            h = (h ^ *p++) * 0xFF51AFD7ED558CCDULL;
        if (p >= end)
            return 0;
        if (*p == '"') {
            at->p = p + 1;
            *hash = h;
            return 1;
        }
        int n = *p >= 128 ? sequence(p, end) : 0;
        if (!n)
            return 0;
        for (int i = 0; i < n; i++)
            h = (h ^ *p++) * 0xFF51AFD7ED558CCDULL;
    }
}

static int number(struct at *at, double *value) {
    const uint8_t *p = at->p;
    int negative = *p == '-';
    p += negative;
    const uint8_t *whole = p;
    int64_t digits = 0, places = 0;
    while (is_digit(*p) && p - whole < 17)
        digits = digits * 10 + (*p++ - '0');
    int64_t count = p - whole;
    if (!count || (count > 1 && *whole == '0'))
        return 0;
    if (*p == '.') {
        const uint8_t *part = ++p;
        while (is_digit(*p) && p - part < 17)
            digits = digits * 10 + (*p++ - '0');
        places = p - part;
        if (!places)
            return 0;
    }
    if (count + places > 15 || is_digit(*p) || (*p | 32) == 'e')
        return 0;
    /* Both are exact, so that the quotient is the float64 nearest to the decimal. */
    double v = (double)digits / POWERS[places];
    *value = negative ? -v : v;
    at->p = p;
    return 1;
}

static int two(const uint8_t *s, int *wrong) {
    *wrong |= !is_digit(s[0]) | !is_digit(s[1]);
    return (s[0] - '0') * 10 + (s[1] - '0');
}

/* YYYY-MM-DD, T or a blank, hh:mm:ss[.f...], then Z, +hh:mm, -hh:mm or nothing. */
static int instant(const uint8_t *s, int64_t length, int64_t *us) {
    static const uint8_t DAYS[] = {0, 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    if (length < 19 || s[4] != '-' || s[7] != '-' || (s[10] != 'T' && s[10] != ' ') || s[13] != ':' || s[16] != ':')
        return NO_INSTANT;
    int wrong = 0;
    int64_t year = two(s, &wrong) * 100 + two(s + 2, &wrong);
    int month = two(s + 5, &wrong), day = two(s + 8, &wrong);
    int hour = two(s + 11, &wrong), minute = two(s + 14, &wrong), second = two(s + 17, &wrong);
    if (wrong || year < 1970 || year > 2261 || month < 1 || month > 12 || day < 1 || hour > 23 || minute > 59 ||
        second > 59)
        return NO_INSTANT;
    int leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
    if (day > DAYS[month] + (month == 2 && leap))
        return NO_INSTANT;
    const uint8_t *p = s + 19, *end = s + length;
    int64_t micros = 0;
    if (p < end && *p == '.') {
        const uint8_t *part = ++p;
        while (p < end && is_digit(*p)) {
            if (p - part < 6)
                micros = micros * 10 + (*p - '0');
            p++;
        }
        if (p == part)
            return NO_INSTANT;
        for (int64_t i = p - part; i < 6; i++)
            micros *= 10;
    }
    int64_t offset_min = 0;
    int zone = LOCAL_INSTANT;
    if (p < end && *p == 'Z') {
        p++;
        zone = UTC_INSTANT;
    } else if (end - p == 6 && (*p == '+' || *p == '-') && p[3] == ':') {
        int hours = two(p + 1, &wrong), minutes = two(p + 4, &wrong);
        if (wrong || hours > 14 || minutes > 59)
            return NO_INSTANT;
        offset_min = (hours * 60 + minutes) * (*p == '-' ? -1 : 1);
        p += 6;
        zone = UTC_INSTANT;
    }
    if (p != end)
        return NO_INSTANT;
    /* Days since 1970-01-01 of the proleptic Gregorian calendar, in years that begin in March. */
    int64_t y = year - (month <= 2), era = y / 400, of_era = y - era * 400;
    int64_t of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    int64_t days = era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
    *us = (((days * 24 + hour) * 60 + minute - offset_min) * 60 + second) * 1000000 + micros;
    return zone;
}

/* Give the text its number among the distinct texts of its column. */
static inline void coded(struct at *at, int32_t slot, const uint8_t *text, int64_t length, uint64_t hash) {
    const struct job *job = at->job;
    int32_t *table = job->table + slot * job->buckets;
    int64_t *places = job->text_at + slot * job->rows, *lengths = job->text_length + slot * job->rows;
    hash ^= (uint64_t)length;
    uint64_t bucket = (hash ^ hash >> 29) & (uint64_t)(job->buckets - 1);
    for (;;) {
        int32_t code = table[bucket];
        if (code < 0) {
            code = (int32_t)job->distinct[slot]++;
            places[code] = text - job->data;
            lengths[code] = length;
            table[bucket] = code;
        } else if (lengths[code] != length || memcmp(job->data + places[code], text, (size_t)length)) {
            bucket = (bucket + 1) & (uint64_t)(job->buckets - 1);
            continue;
        }
        job->code[slot * job->rows + at->row] = code;
        return;
    }
}

static inline int word(struct at *at, const char *text, int64_t length) {
    if (at->end - at->p < length || memcmp(at->p, text, (size_t)length))
        return 0;
    at->p += length;
    return 1;
}

static inline int sign(struct at *at, char c) { /* the character, and one blank if there is one */
    if (at->p >= at->end || *at->p != c)
        return 0;
    at->p++;
    if (at->p < at->end && *at->p == ' ')
        at->p++;
    return 1;
}

static int object(struct at *at, int32_t node, int64_t depth);

/* Go behind a value that nobody asked for. */
static int skipped(struct at *at, int64_t depth) {
    uint64_t hash;
    double ignored;
    if (at->p >= at->end)
        return 0;
    switch (*at->p) {
    case '"':
        at->p++;
        return string(at, &hash);
    case '{':
        return object(at, -1, depth + 1);
    case '[':
        if (depth + 1 > at->job->depth_max)
            return 0;
        at->p++;
        if (at->p < at->end && *at->p == ']') {
            at->p++;
            return 1;
        }
        do {
            if (!skipped(at, depth + 1))
                return 0;
        } while (sign(at, ','));
        return word(at, "]", 1);
    case 't':
        return word(at, "true", 4);
    case 'f':
        return word(at, "false", 5);
    case 'n':
        return word(at, "null", 4);
    default:
        return number(at, &ignored);
    }
}

static int member(struct at *at, const struct key *key, int64_t depth) {
    const struct job *job = at->job;
    const uint8_t *text = at->p + 1;
    uint64_t hash;
    int64_t place = key->slot * job->rows + at->row;
    if (at->p >= at->end)
        return 0;
    if (*at->p == 'n')
        return word(at, "null", 4);
    switch (key->kind) {
    case TEXT:
        if (*at->p != '"')
            return 0;
        at->p++;
        if (!string(at, &hash))
            return 0;
        coded(at, key->slot, text, at->p - 1 - text, hash);
        return 1;
    case NUMBER:
        return number(at, job->number + place);
    case INSTANT:
        if (*at->p != '"')
            return 0;
        at->p++;
        if (!string(at, &hash))
            return 0;
        job->instant_zone[place] = (uint8_t)instant(text, at->p - 1 - text, job->instant_us + place);
        return job->instant_zone[place] != NO_INSTANT;
    default:
        return *at->p == '{' && object(at, key->slot, depth + 1);
    }
}

/* Read an object; node -1 is one that nobody asked for. */
static int object(struct at *at, int32_t node, int64_t depth) {
    const struct job *job = at->job;
    if (depth > job->depth_max || *at->p != '{')
        return 0;
    at->p++;
    if (at->p < at->end && *at->p == '}') {
        at->p++;
        return 1;
    }
    const struct node *known = node < 0 ? 0 : job->nodes + node;
    uint8_t *expected = node < 0 ? 0 : at->expected + node * KEYS_MAX;
    unsigned place = 0;
    do {
        if (at->p >= at->end || *at->p != '"')
            return 0;
        const uint8_t *name = ++at->p;
        const struct key *key = 0;
        if (known && known->count) {
            /* Records of a source are alike: try the key that was here in the record before. */
            key = job->keys + known->first + expected[place % KEYS_MAX];
            if (at->end - name > key->length && name[key->length] == '"' &&
                !memcmp(name, job->names + key->name, (size_t)key->length))
                at->p += key->length + 1;
            else
                key = 0;
        }
        if (!key) {
            uint64_t hash;
            if (!string(at, &hash))
                return 0;
            int64_t length = at->p - 1 - name;
            for (int32_t i = 0; known && i < known->count; i++) {
                const struct key *candidate = job->keys + known->first + i;
                if (candidate->length == length && !memcmp(name, job->names + candidate->name, (size_t)length)) {
                    key = candidate;
                    expected[place % KEYS_MAX] = (uint8_t)i;
                    break;
                }
            }
        }
        place++;
        if (!sign(at, ':'))
            return 0;
        if (key) {
            uint64_t bit = 1ULL << (key - job->keys);
            if (at->seen & bit)
                return 0;
            at->seen |= bit;
            if (!member(at, key, depth))
                return 0;
        } else if (!skipped(at, depth))
            return 0;
    } while (sign(at, ','));
    return word(at, "}", 1);
}

/* What the caller compares with its own idea of a job, so that it never calls a kernel of another release. */
const int64_t job_bytes = sizeof(struct job);

/* Read every record; return how many could be read. At most KEYS_MAX keys in all; depth_max <= DEPTH_LIMIT. */
int64_t read_fields(const struct job *job, uint8_t *expected) {
    int64_t count = 0;
    for (int64_t row = 0; row < job->rows; row++) {
        int64_t start = job->starts[row], end = job->ends[row];
        job->read[row] = 0;
        /* Its last byte is '}', which ends every number and every word before the record's end. */
        if (end - start < 2 || end - start > job->record_bytes_max || end > job->size || job->data[start] != '{' ||
            job->data[end - 1] != '}')
            continue;
        struct at at = {job, job->data + start, job->data + end, job->data + job->size, row, 0, expected};
        job->read[row] = (uint8_t)(object(&at, 0, 1) && at.p == at.end);
        count += job->read[row];
    }
    return count;
}
