/* The mapped fields of many Avro records, in one pass over their bytes.
 *
 * Law: as in avro_values.h, for each record. Most are read side by side, each in a lane: a field of all of them, then
 * the next field. What comes next is then asked once for all, and no lane waits for another, whereas in one record each
 * field waits for the one before. A lane that does not turn out plain and sound is read again by itself.
 * Bounds: as in avro_values.h and avro_flat.h.
 */
#include "avro_flat.h"

enum { LANES = 64 };

struct lanes {
    int64_t row;                              /* of the first lane; the others' follow */
    int count;
    const uint8_t *p[LANES], *end[LANES];     /* where reading stands, and where the record ends */
    int64_t items[LANES], steps[LANES];
    uint64_t seen[LANES];
    int32_t left[LANES];                      /* not 0: to be read by itself */
};

/* The bits of the first n bytes of two words. */
#define FIRST(n) ((n) >= 8 ? ~0ULL : (1ULL << 8 * (n)) - 1)
#define BOTH(n) {FIRST(n), (n) <= 8 ? 0 : FIRST((n) - 8)}
static const uint64_t KEPT[INLINE_BYTES + 1][2] = {
    BOTH(0), BOTH(1), BOTH(2),  BOTH(3),  BOTH(4),  BOTH(5),  BOTH(6),  BOTH(7), BOTH(8),
    BOTH(9), BOTH(10), BOTH(11), BOTH(12), BOTH(13), BOTH(14), BOTH(15), BOTH(16),
};

static void take_numbers(const struct job *job, struct lanes *lanes, const struct field *field) {
    const struct column column = job->columns[field->node->slot];
    const int narrow = field->node->kind == INT;
    const int64_t low = narrow && column.low < INT32_MIN ? INT32_MIN : column.low;
    const int64_t high = narrow && column.high > INT32_MAX ? INT32_MAX : column.high;
    int64_t *out = (int64_t *)column.values + lanes->row;
    for (int i = 0; i < lanes->count; i++) {
        int64_t x;
        int32_t odd = 0;
        lanes->p[i] = hurried_number(lanes->p[i], &x, &odd);
        lanes->left[i] |= odd | (x < low) | (x > high);
        x = (int64_t)((uint64_t)x * (uint64_t)column.factor); /* what is within the bounds does not overflow */
        out[i] = x;
    }
    if (column.divisor != 1)
        for (int i = 0; i < lanes->count; i++)
            out[i] = out[i] / column.divisor - (out[i] % column.divisor < 0);
}

static void take_texts(const struct job *job, struct lanes *lanes, const struct field *field) {
    const struct column *column = job->columns + field->node->slot;
    struct texts *texts = column->texts;
    const struct text *slots = texts->slots;
    const int64_t shift = 64 - texts->bits;
    int32_t *out = (int32_t *)column->values + lanes->row;
    for (int i = 0; i < lanes->count; i++) {
        const uint8_t *p = lanes->p[i], byte = *p++;
        const int64_t n = byte >> 1;
        lanes->left[i] |= byte & 0x81; /* less than none, or a length of two bytes */
        lanes->p[i] = p + (n & (STRIDE - 1));
        if (n <= INLINE_BYTES) {
            const uint64_t low = eight(p) & KEPT[n][0], high = eight(p + 8) & KEPT[n][1];
            const struct text *slot = slots + (mixed(low, high + (uint64_t)n) >> shift);
            if (slot->used == n + 1 && slot->low == low && slot->high == high) {
                out[i] = slot->code; /* the text is known, so it is UTF-8 */
                lanes->left[i] |= slot->code < 0;
                continue;
            }
        }
        if (lanes->left[i])
            continue;
        const int32_t code = lanes->end[i] - p < n || !is_text(p, n) ? REFUSED : text_code(texts, p, n);
        out[i] = code;
        lanes->left[i] |= code < 0 && code > FIRST_NEW;
    }
}

static void pass_numbers(struct lanes *lanes) {
    for (int i = 0; i < lanes->count; i++)
        lanes->p[i] = hurried_pass(lanes->p[i], &lanes->left[i]);
}

static void pass_texts(struct lanes *lanes) {
    for (int i = 0; i < lanes->count; i++)
        lanes->p[i] = hurried_text(lanes->p[i], &lanes->left[i]);
}

static void pass_others(const struct job *job, struct lanes *lanes, const struct field *field, int64_t room) {
    for (int i = 0; i < lanes->count; i++) {
        if (lanes->left[i])
            continue;
        if (is_null(job, field->node, lanes->p[i])) {
            lanes->p[i]++;
            continue;
        }
        struct at at = {job, lanes->end[i], job->data + job->size, lanes->row + i,
                        lanes->items[i], lanes->steps[i], lanes->seen[i], 0};
        const uint8_t *p = value(&at, lanes->p[i], field->node, field->depth);
        lanes->items[i] = at.items;
        lanes->steps[i] = at.steps;
        lanes->seen[i] = at.seen;
        if (p && at.limit - p >= room)
            lanes->p[i] = p;
        else
            lanes->left[i] = 1;
    }
}

/* Read up to LANES records from a row on. Those that were not read are still to be read by themselves. */
static void read_lanes(const struct job *job, const struct flat *flat, int64_t row, int count) {
    struct lanes lanes;
    const int64_t room = room_of(flat);
    lanes.row = row;
    lanes.count = count;
    for (int i = 0; i < count; i++) {
        const int64_t start = job->starts[row + i], end = job->ends[row + i];
        const int fit = start >= 0 && start <= end && end <= job->size - room;
        lanes.p[i] = job->data + (fit ? start : 0);
        lanes.end[i] = job->data + (fit ? end : 0);
        lanes.items[i] = flat->items;
        lanes.steps[i] = flat->steps;
        lanes.seen[i] = flat->seen;
        lanes.left[i] = !fit;
    }
    for (const struct field *field = flat->fields; field < flat->fields + flat->count; field++)
        switch (field->way) {
        case TAKE_TEXT:
            take_texts(job, &lanes, field);
            break;
        case TAKE_NUMBER:
            take_numbers(job, &lanes, field);
            break;
        case PASS_NUMBER:
            pass_numbers(&lanes);
            break;
        case PASS_TEXT:
            pass_texts(&lanes);
            break;
        case PASS_BYTES:
            for (int i = 0; i < count; i++)
                lanes.p[i] += field->bytes;
            break;
        case OTHER:
            pass_others(job, &lanes, field, room);
        }
    for (int i = 0; i < count; i++)
        job->read[row + i] =
            !lanes.left[i] && lanes.p[i] == lanes.end[i] && (lanes.seen[i] & job->required) == job->required;
}

/* Read a record by itself; returns 0 where a table of texts is full. */
static int read_alone(const struct job *job, int64_t row) {
    int64_t start = job->starts[row], end = job->ends[row];
    const uint8_t *data = job->data;
    int64_t size = job->size;
    if (start < 0 || end < start || end > size)
        return 1;
    if (end > size - SLACK) {
        if (start < job->tail_from)
            return 1;
        data = job->tail;
        start -= job->tail_from;
        end -= job->tail_from;
        size -= job->tail_from;
    }
    struct at at = {job, data + end, data + size, row, ITEMS_MAX, STEPS_MAX, 0, 0};
    job->read[row] =
        (uint8_t)(value(&at, data + start, job->nodes, 1) == at.end && (at.seen & job->required) == job->required);
    return !at.full;
}

/* What the caller compares with its own idea of these, so that it never calls a kernel of another release. */
const int64_t avro_job_bytes = sizeof(struct job);
const int64_t avro_column_bytes = sizeof(struct column);

/* Read the records from row `row` on. Returns the first row that was not tried, since a table of texts is full. What
 * columns have of the rows from there on is of no meaning; codes of new texts may be among it. */
int64_t read_avro(const struct job *job, int64_t row) {
    struct flat flat;
    /* Where most records have to be read again, reading them in lanes first is no gain. */
    int in_lanes = flattened(job, 0, &flat) && job->size >= room_of(&flat);
    while (row < job->rows) {
        const int count = job->rows - row < LANES ? (int)(job->rows - row) : LANES;
        int left = 0;
        memset(job->read + row, 0, (size_t)count);
        if (in_lanes)
            read_lanes(job, &flat, row, count);
        for (const int64_t behind = row + count; row < behind; row++)
            if (!job->read[row]) {
                left++;
                if (!read_alone(job, row))
                    return row;
            }
        in_lanes &= 2 * left <= count;
    }
    return row;
}
