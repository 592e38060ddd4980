/* The mapped fields of many JSON records as canonical columns, in one pass over their bytes.
 *
 * Law: a record is read here only if it is strict JSON (RFC 8259) of the plainest kind and has no fault, and then its
 * columns are what canonical/decoders/json.py and canonicalise.py would make of it; every other record is left to
 * them, unread. Left alone are records with a backslash in a mapped string or a name beside them, a mapped field of
 * another type than expected, beyond its bounds or missing, a mapped key that occurs twice, mapped numbers that are
 * negative, have an exponent or more than 2^53 as digits, and white space other than one blank after ',' and ':'.
 *
 * Bounds: nothing outside data[0..size) and tail[0..size - tail_start + SLACK) is read: a record that has not SLACK
 * bytes behind it is read from the tail, a copy that has. Every loop advances through the record, and nesting is
 * limited by depth_max, so time and stack are bounded. Columns are written by row, below `rows`.
 */
#include "json_values.h"

enum kind { TEXT, SPAN, EXACT, ROUNDED, EPOCH, INSTANT, OBJECT, NUMBER, TRUTH };
enum { FIELDS_MAX = 64, NAMES_MAX = 64, NAME_WORDS = 4, UNKNOWN = -1, UNREADABLE = -2 };

/* A mapped field, or an object that leads to some. */
struct field {
    const uint8_t *name; /* with both quotes and the colon */
    int64_t length;
    int64_t kind;
    int64_t node;        /* OBJECT: the node it opens */
    int64_t required;    /* a record without it is left alone */
    int64_t absent;      /* what its column holds where the record has none */
    void *column;        /* TEXT: int32; SPAN: int64, where it begins in data; NUMBER: double; others: int64 */
    int64_t *lengths;    /* SPAN: int64; -1 where the record has none */
    uint8_t *zones;      /* INSTANT: which zone it was written in */
    int64_t zones_met;   /* bits of enum zone */
    struct texts *texts; /* TEXT */
    int64_t scale;       /* numbers: of what they count, in one of them */
    double most;         /* EXACT, ROUNDED: the largest number */
    int64_t first_us, last_us; /* EPOCH, INSTANT: the bounds */
    struct date date;
};

/* The names that an object of a kind had in records so far, in the order they were met: the next is expected first. */
struct name {
    uint64_t text[NAME_WORDS], mask[NAME_WORDS];
    int32_t length, field; /* UNKNOWN where nobody asks for it */
};

struct node {
    int32_t first, fields; /* its fields, which follow each other */
    int64_t count;
    struct name names[NAMES_MAX];
};

struct job {
    const uint8_t *data, *tail;
    int64_t size, tail_start; /* the tail is a copy of data[tail_start..size) */
    const int64_t *starts, *ends;
    int64_t rows;
    struct field *fields;
    struct node *nodes;
    int64_t field_count;
    int64_t record_bytes_max, depth_max;
    int64_t row, count; /* rows done, records read */
    int32_t *read;      /* int32[rows]: their rows */
};

struct at { /* a record that is being read */
    struct job *job;
    const uint8_t *begin, *end;
    int64_t start;         /* where it begins in data; it may be read from the tail */
    uint64_t seen, given;  /* bits of the fields that occurred, and that have a value */
    int full;              /* a table of texts has no room left */
    int32_t *places;       /* by field: where its text begins in the record, as found */
};

/* Texts that are looked for in tables far away. Records are alike, so that each begins about where it did in the
 * record before; if not, nothing is gained. */
struct far {
    int64_t count;
    int32_t fields[FIELDS_MAX];
    int32_t places[FIELDS_MAX]; /* 0 where none has been found */
};

enum { AHEAD = 4 }; /* So many records take as long as to load a slot. */

static inline int is_name(const uint8_t *p, const struct name *name) {
    uint64_t other = (eight(p) ^ name->text[0]) & name->mask[0];
    other |= (eight(p + 8) ^ name->text[1]) & name->mask[1];
    if (name->length > 16) {
        other |= (eight(p + 16) ^ name->text[2]) & name->mask[2];
        other |= (eight(p + 24) ^ name->text[3]) & name->mask[3];
    }
    return !other;
}

/* Find the name at p among those the node has met, or read and remember it. Sets *length to its own, with quotes and
 * colon, and *next to the place of the name that followed it last. Returns its field, UNKNOWN or UNREADABLE. */
static __attribute__((noinline)) int32_t found(struct at *at, struct node *node, const uint8_t *p, int64_t *next,
                                               int64_t *length) {
    for (int64_t i = 0; i < node->count; i++) {
        int64_t place = *next + i < node->count ? *next + i : *next + i - node->count;
        if (is_name(p, node->names + place)) {
            *next = place + 1;
            *length = node->names[place].length;
            return node->names[place].field;
        }
    }
    const uint8_t *quote = *p == '"' ? closing(p + 1, at->end, 0) : 0;
    if (!quote || quote[1] != ':')
        return UNREADABLE;
    *length = quote + 2 - p;
    int32_t field = UNKNOWN;
    for (int32_t i = node->first; i < node->first + node->fields; i++)
        if (at->job->fields[i].length == *length && !memcmp(at->job->fields[i].name, p, (size_t)*length))
            field = i;
    if (node->count < NAMES_MAX && *length <= 8 * NAME_WORDS) {
        struct name *name = node->names + node->count++;
        *name = (struct name){.length = (int32_t)*length, .field = field};
        for (int64_t i = 0; i < NAME_WORDS; i++) {
            int64_t bytes = *length - 8 * i;
            name->mask[i] = bytes > 0 ? lowest(~0ULL, bytes) : 0;
            name->text[i] = eight(p + 8 * i) & name->mask[i];
        }
        *next = node->count;
    }
    return field;
}

static inline const uint8_t *read_text(struct at *at, struct field *field, const uint8_t *p, int64_t row) {
    if (*p++ != '"')
        return 0;
    int64_t n = plain_bytes(p);
    if (n == 16 || p[n] != '"') {
        const uint8_t *quote = closing(p, at->end, 0);
        if (!quote)
            return 0;
        n = quote - p;
    } else if (p + n >= at->end)
        return 0;
    at->places[field - at->job->fields] = (int32_t)(p - at->begin);
    int32_t code = text_code(field->texts, p, n);
    if (code == REFUSED || code == FULL) {
        at->full = code == FULL;
        return 0;
    }
    ((int32_t *)field->column)[row] = code;
    return p + n + 1;
}

static inline const uint8_t *read_span(struct at *at, struct field *field, const uint8_t *p, int64_t row) {
    const uint8_t *quote = *p == '"' ? closing(p + 1, at->end, 0) : 0;
    if (!quote)
        return 0;
    ((int64_t *)field->column)[row] = at->start + (p + 1 - at->begin);
    field->lengths[row] = quote - p - 1;
    return quote + 1;
}

/* Quantities and sequence numbers: whole in what the column counts. */
static inline const uint8_t *read_exact(struct field *field, const uint8_t *p, int64_t *value) {
    struct decimal x;
    if (!(p = number(p, &x)) || as_float(x) > field->most)
        return 0;
    int64_t scaled = x.digits * field->scale; /* at most 2^53 * 1000 */
    if (x.places && scaled % TENS[x.places])
        return 0;
    *value = x.places ? scaled / TENS[x.places] : scaled;
    return p;
}

static inline const uint8_t *read_rounded(struct field *field, const uint8_t *p, int64_t *value) {
    struct decimal x;
    if (!(p = number(p, &x)) || as_float(x) > field->most)
        return 0;
    *value = x.places ? rounded(as_float(x) * (double)field->scale) : x.digits * field->scale;
    return p;
}

static inline const uint8_t *read_epoch(struct field *field, const uint8_t *p, int64_t *us) {
    struct decimal x;
    if (!(p = number(p, &x)))
        return 0;
    double exact = as_float(x) * (double)field->scale;
    if (exact >= 9007199254740992.0)
        return 0;
    *us = field->scale > 1 ? rounded(exact) : (int64_t)exact; /* digits finer than a microsecond are cut off */
    return *us >= field->first_us && *us <= field->last_us ? p : 0;
}

/* What an expression computes with: the float64 nearest to a number, as canonical/decoders/json.py reads it. */
static inline const uint8_t *read_number(const uint8_t *p, double *value) {
    struct decimal x;
    if (!(p = number(p, &x)))
        return 0;
    *value = as_float(x);
    return p;
}

static inline const uint8_t *read_truth(const uint8_t *p, int64_t *value) {
    *value = *p == 't';
    if (*p == 't')
        return memcmp(p, "true", 4) ? 0 : p + 4;
    return memcmp(p, "false", 5) ? 0 : p + 5;
}

static inline const uint8_t *read_instant(struct at *at, struct field *field, const uint8_t *p, int64_t row) {
    int zone;
    int64_t *us = (int64_t *)field->column + row;
    if (*p != '"' || !(p = instant(p + 1, at->end, &field->date, us, &zone)))
        return 0;
    if (zone == UTC_INSTANT && (*us < field->first_us || *us > field->last_us))
        return 0;
    field->zones[row] = (uint8_t)zone;
    field->zones_met |= zone;
    return p;
}

static const uint8_t *object(struct at *at, struct node *node, const uint8_t *p, int64_t depth);

static inline const uint8_t *member(struct at *at, int32_t index, const uint8_t *p, int64_t depth) {
    struct field *field = at->job->fields + index;
    uint64_t bit = 1ULL << index;
    int64_t row = at->job->count;
    if (at->seen & bit)
        return 0;
    at->seen |= bit;
    if (*p == 'n')
        return memcmp(p, "null", 4) ? 0 : p + 4;
    at->given |= bit;
    switch (field->kind) {
    case TEXT:
        return read_text(at, field, p, row);
    case SPAN:
        return read_span(at, field, p, row);
    case EXACT:
        return read_exact(field, p, (int64_t *)field->column + row);
    case ROUNDED:
        return read_rounded(field, p, (int64_t *)field->column + row);
    case EPOCH:
        return read_epoch(field, p, (int64_t *)field->column + row);
    case INSTANT:
        return read_instant(at, field, p, row);
    case NUMBER:
        return read_number(p, (double *)field->column + row);
    case TRUTH:
        return read_truth(p, (int64_t *)field->column + row);
    default:
        return *p == '{' ? object(at, at->job->nodes + field->node, p, depth + 1) : 0;
    }
}

/* Read the object at p, whose first character is known. */
static const uint8_t *object(struct at *at, struct node *node, const uint8_t *p, int64_t depth) {
    const uint8_t *end = at->end;
    int64_t next = 0;
    if (depth > at->job->depth_max)
        return 0;
    if (*++p == '}')
        return p + 1;
    for (;;) {
        int32_t index;
        int64_t length;
        if (next < node->count && is_name(p, node->names + next)) {
            index = node->names[next].field;
            length = node->names[next++].length;
        } else if ((index = found(at, node, p, &next, &length)) == UNREADABLE)
            return 0;
        p = behind_blank(p + length);
        if (p >= end)
            return 0;
        p = index == UNKNOWN ? skipped(p, end, at->job->depth_max - depth) : member(at, index, p, depth);
        if (!p || p >= end)
            return 0;
        if (*p == '}')
            return p + 1;
        if (*p != ',')
            return 0;
        p = behind_blank(p + 1);
    }
}

/* Give the fields that the record has not their values; 0 where it must have one. */
static __attribute__((noinline)) int completed(struct job *job, uint64_t given) {
    for (int64_t i = 0; i < job->field_count; i++) {
        struct field *field = job->fields + i;
        if (given >> i & 1 || field->kind == OBJECT)
            continue;
        if (field->required)
            return 0;
        if (field->kind == TEXT)
            ((int32_t *)field->column)[job->count] = (int32_t)field->absent;
        else
            ((int64_t *)field->column)[job->count] = field->absent;
        if (field->kind == SPAN)
            field->lengths[job->count] = -1;
        if (field->kind == INSTANT)
            field->zones[job->count] = NO_INSTANT;
    }
    return 1;
}

static struct far far_texts(const struct job *job) {
    struct far far = {0};
    for (int32_t i = 0; i < job->field_count; i++)
        if (job->fields[i].kind == TEXT && job->fields[i].texts->bits >= FAR_BITS)
            far.fields[far.count++] = i;
    return far;
}

/* Have the slots loaded for the record that is AHEAD. */
static inline __attribute__((always_inline)) void foresee(const struct job *job, const struct far *far) {
    int64_t start = job->starts[job->row + AHEAD];
    for (int64_t i = 0; i < far->count; i++) {
        int64_t place = far->places[far->fields[i]];
        if (!place || start < 0 || start > job->size - SLACK - place)
            continue;
        const uint8_t *p = job->data + start + place;
        p += p[-1] == '"' ? 0 : *p == '"' ? 1 : -1; /* a number before it has a digit more, or less */
        int64_t n = plain_bytes(p);
        if (p[n] == '"')
            text_foreseen(job->fields[far->fields[i]].texts, p, n);
    }
}

/* What the caller compares with its own idea of a job, so that it never calls a kernel of another release. */
const int64_t job_bytes = sizeof(struct job), field_bytes = sizeof(struct field), node_bytes = sizeof(struct node),
              texts_bytes = sizeof(struct texts);

/* Read the records from job->row on; those that are read follow each other in the columns. Returns 0 when all rows are
 * done, and 1 where a table of texts has to grow before job->row can be read.
 * At most FIELDS_MAX fields, depth_max at most 64. */
int64_t read_fields(struct job *job) {
    uint64_t every = job->field_count < 64 ? (1ULL << job->field_count) - 1 : ~0ULL;
    struct far far = far_texts(job);
    for (; job->row < job->rows; job->row++) {
        if (far.count && job->row + AHEAD < job->rows)
            foresee(job, &far);
        int64_t start = job->starts[job->row], end = job->ends[job->row];
        /* The last byte is '}', which ends every number and every word before the record's end. */
        if (start < 0 || end > job->size || end - start < 2 || end - start > job->record_bytes_max ||
            job->data[start] != '{' || job->data[end - 1] != '}')
            continue;
        const uint8_t *begin = job->data + start;
        if (job->size - end < SLACK) {
            if (start < job->tail_start)
                continue;
            begin = job->tail + (start - job->tail_start);
        }
        struct at at = {.job = job, .begin = begin, .end = begin + (end - start), .start = start,
                        .places = far.places};
        const uint8_t *p = object(&at, job->nodes, begin, 1);
        if (at.full)
            return 1;
        if (p != at.end || (at.given != every && !completed(job, at.given)))
            continue;
        job->read[job->count++] = (int32_t)job->row;
    }
    return 0;
}
