/* Where the data of the blocks of a container end.
 *
 * Law: a datum that is passed ends where canonical/decoders/avro_skip.py says.
 * Bounds: as in avro_values.h and avro_flat.h.
 * Source: Avro 1.12 specification, Object Container Files.
 */
#include "avro_flat.h"

enum { SYNC_BYTES = 16, WALKERS = 4 };

/* Data that follow each other: where they lie, how many there are, and where to note the ends of them. */
struct stretch {
    int64_t from, to, count;
    int64_t *ends;
    int64_t passed; /* how many could be passed */
};

/* Returns where a datum ends, 0 where it is not sound. */
static const uint8_t *datum_end(const struct job *job, const uint8_t *p, int64_t to) {
    struct at at = {job, job->data + to, job->data + job->size, 0, ITEMS_MAX, STEPS_MAX, 0, 0};
    return value(&at, p, job->nodes, 1);
}

/* Walk to the end of one stretch, datum by datum. */
static void walk(const struct job *job, struct stretch *stretch) {
    const uint8_t *p = job->data + (stretch->passed ? stretch->ends[stretch->passed - 1] : stretch->from);
    while (stretch->passed < stretch->count && (p = datum_end(job, p, stretch->to)))
        stretch->ends[stretch->passed++] = p - job->data;
}

/* In a register of its own: gcc would put two of them into one, from which they have to be taken again each time. */
#define ALONE(p) __asm__("" : "+r"(p))

/* What a walk over a datum has left. */
struct budget {
    int64_t items, steps;
};

/* Pass one field that is of no plain kind. Returns 0 where it is not sound, or there is not so much room behind it. */
static __attribute__((noinline)) const uint8_t *pass_other(const struct job *job, const struct field *field,
                                                           const uint8_t *p, int64_t to, int64_t room,
                                                           struct budget *left) {
    struct at at = {job, job->data + to, job->data + job->size, 0, left->items, left->steps, 0, 0};
    p = value(&at, p, field->node, field->depth);
    left->items = at.items;
    left->steps = at.steps;
    return p && at.limit - p >= room ? p : 0;
}

/* Walk over WALKERS stretches at once, as far as all of them go: what one waits for does not keep the others. */
static void walk_together(const struct job *job, const struct flat *flat, struct stretch *stretches) {
    const int64_t room = room_of(flat);
    const uint8_t *begin[WALKERS], *limit = job->data + job->size;
    int64_t rounds = INT64_MAX;
    for (int i = 0; i < WALKERS; i++) {
        begin[i] = job->data + stretches[i].from;
        if (rounds > stretches[i].count)
            rounds = stretches[i].count;
    }
    for (int64_t round = 0; round < rounds; round++) {
        const uint8_t *p[WALKERS];
        struct budget left[WALKERS];
        int32_t odd[WALKERS] = {0}; /* not 0: this datum is walked over by itself */
        for (int i = 0; i < WALKERS; i++) {
            if (limit - begin[i] < room)
                return;
            p[i] = begin[i];
            left[i] = (struct budget){flat->items, flat->steps};
        }
        for (const struct field *field = flat->fields; field < flat->fields + flat->count; field++)
            switch (field->way) {
            case PASS_NUMBER:
                for (int i = 0; i < WALKERS; i++) {
                    p[i] = hurried_pass(p[i], &odd[i]);
                    ALONE(p[i]);
                }
                break;
            case PASS_TEXT:
                for (int i = 0; i < WALKERS; i++) {
                    p[i] = hurried_text(p[i], &odd[i]);
                    ALONE(p[i]);
                }
                break;
            case PASS_BYTES:
                for (int i = 0; i < WALKERS; i++)
                    p[i] += field->bytes;
                break;
            default:
                for (int i = 0; i < WALKERS; i++)
                    if (is_null(job, field->node, p[i])) {
                        p[i]++;
                    } else if (!odd[i]) {
                        const uint8_t *end = pass_other(job, field, p[i], stretches[i].to, room, &left[i]);
                        odd[i] = !end;
                        p[i] = end ? end : p[i];
                    }
            }
        for (int i = 0; i < WALKERS; i++) {
            if (odd[i] || p[i] > job->data + stretches[i].to)
                p[i] = datum_end(job, begin[i], stretches[i].to);
            if (!p[i])
                return;
            begin[i] = p[i];
            stretches[i].ends[round] = p[i] - job->data;
            stretches[i].passed = round + 1;
        }
    }
}

/* Find the ends of up to ends_max data of an unpacked block, from data[from] on; return how many were found. */
int64_t data_ends(const struct job *job, int64_t from, int64_t ends_max, int64_t *ends) {
    struct stretch whole = {from, job->size, ends_max, ends, 0};
    if (from < 0 || from > job->size)
        return 0;
    walk(job, &whole);
    return whole.passed;
}

/* Find up to WALKERS whole blocks that are not packed, from data[*at] on, with no more data than there is room for: a
 * count, a size, the data, the mark. Returns how many; *at is where the last of them ends. */
static int whole_blocks(const struct job *job, const uint8_t *sync, int64_t room, int64_t *ends, int64_t *at,
                        struct stretch *blocks) {
    const struct at all = {job, job->data + job->size, job->data + job->size, 0, 0, 0, 0, 0};
    const uint8_t *p = job->data + *at;
    int found = 0;
    while (found < WALKERS) {
        int64_t count, size;
        if (!(p = number(&all, p, &count)) || !(p = number(&all, p, &size)) || count < 0 || count > room || size < 0 ||
            all.end - p < SYNC_BYTES || size > all.end - p - SYNC_BYTES || memcmp(p + size, sync, SYNC_BYTES))
            break;
        const int64_t from = p - job->data;
        blocks[found++] = (struct stretch){from, from + size, count, ends, 0};
        ends += count;
        room -= count;
        p += size + SYNC_BYTES;
        *at = p - job->data;
    }
    return found;
}

/* Take whole blocks apart that are not packed, from data[0] on.
 *
 * Stops before the first block that is not whole, not sound, or has more data than there is room for. Returns how many
 * data were found; *consumed is where the last block that was taken ends. */
int64_t block_data(const struct job *job, const uint8_t *sync, int64_t room, int64_t *starts, int64_t *ends,
                   int64_t *consumed) {
    struct stretch blocks[WALKERS];
    struct flat flat;
    const int plain = flattened(job, 1, &flat);
    int64_t found = 0, at = 0;
    int count;
    *consumed = 0;
    while ((count = whole_blocks(job, sync, room - found, ends + found, &at, blocks))) {
        if (plain && count == WALKERS)
            walk_together(job, &flat, blocks);
        for (struct stretch *block = blocks; block < blocks + count; block++) {
            walk(job, block);
            const int64_t end = block->count ? block->ends[block->count - 1] : block->from;
            if (block->passed < block->count || end != block->to)
                return found;
            for (int64_t i = 0; i < block->count; i++)
                starts[found + i] = i ? block->ends[i - 1] : block->from;
            found += block->count;
            *consumed = block->to + SYNC_BYTES;
        }
    }
    return found;
}
