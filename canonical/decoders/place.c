/* The rows of a batch put in their places: which follow their session, which wait, which are repeats.
 *
 * Law: for each session it does what the numpy twin in dataflows/processors/sequence.py does. A session in which
 * something rare happens is marked, nothing of it is touched, and the exact path decides on it.
 *
 * Bounds: rows, sessions and held records are below the lengths given; codes are checked against the batches they name.
 * A session's rows are sorted by insertion where they are few and by merging where they are many.
 */
#include "kernel.h"

enum { SID_SHIFT = 36, FEW = 32 };
static const int64_t FAR = (1LL << SID_SHIFT) - 1;

struct item {
    int64_t rel, row; /* number less the next one, or the number itself; and the row of the batch */
};

struct placing {
    int64_t rows, sessions, horizon, held_rows_max;
    const int32_t *sid;
    const int64_t *seq;
    const uint32_t *body;
    /* int64[sessions] each; gaps_top may be absent: the last number of a gap that is remembered. */
    int64_t *next_seq;
    const int64_t *start_seq, *forgotten_below, *gaps_top;
    int64_t *duplicates, *released;
    uint32_t *recent; /* uint32[sessions][horizon] */
    uint8_t *rare;
    /* Held records: keys, which ascend, with the code of each; the hashes of each batch's bodies. */
    int64_t held, batches;
    const int64_t *keys, *codes;
    const uint32_t *const *bodies;
    const int64_t *lengths;
    int64_t *counts, *base;
    /* Room: int64[sessions + 1] zeros, int64[rows], item[rows] three times. */
    int64_t *begin, *met;
    struct item *order, *items, *merged;
    /* What comes of it: room for rows + held each. */
    int64_t *out_code, *out_seq, *new_key, *new_code;
    int32_t *out_sid;
    int64_t out, kept, far; /* far: of the records newly held, those too far for a key */
};

const int64_t placing_bytes = sizeof(struct placing);

static void sorted(struct item *items, struct item *room, int64_t n) {
    if (n <= FEW) {
        for (int64_t i = 1; i < n; i++) {
            struct item x = items[i];
            int64_t k = i;
            for (; k && items[k - 1].rel > x.rel; k--)
                items[k] = items[k - 1];
            items[k] = x;
        }
        return;
    }
    int64_t half = n / 2, a = 0, b = half, k = 0;
    sorted(items, room, half);
    sorted(items + half, room, n - half);
    if (items[half - 1].rel <= items[half].rel)
        return;
    memcpy(room, items, (size_t)half * sizeof *items);
    while (a < half && b < n)
        items[k++] = items[b].rel < room[a].rel ? items[b++] : room[a++];
    memcpy(items + k, room + a, (size_t)(half - a) * sizeof *items);
}

static int64_t code_of(const struct placing *j, int64_t row) { return (j->batches - 1) << 32 | row; }

static uint32_t body_of(const struct placing *j, int64_t code) { return j->bodies[code >> 32][code & 0xffffffff]; }

/* Decide on a record whose number is behind: 1 a plain repeat, 0 something rare. */
static int repeats(const struct placing *j, int64_t sid, int64_t seq, int64_t row) {
    int64_t next = j->next_seq[sid];
    if (seq < j->start_seq[sid] || (j->gaps_top && seq <= j->gaps_top[sid]))
        return 0;
    if (seq >= next - j->horizon)
        return j->recent[sid * j->horizon + (seq & (j->horizon - 1))] == j->body[row];
    return seq >= j->forgotten_below[sid];
}

/* Place the rows of a session, which are order[from..to), beside its held records first..last; 0 where it is rare. */
static int placed(struct placing *j, int64_t sid, int64_t from, int64_t to, int64_t first, int64_t last) {
    int64_t next = j->next_seq[sid], base = j->base[sid], count = 0, again = 0, waited = 0, latest = -1, own = 0;
    for (int64_t k = from; k < to; k++) {
        int64_t row = j->order[k].row, rel = j->order[k].rel - next;
        if (rel >= 0)
            j->items[count++] = (struct item){rel, row};
        else if (repeats(j, sid, j->order[k].rel, row))
            again++;
        else
            return 0;
    }
    sorted(j->items, j->merged, count);
    int64_t goes = 0, waits = 0, known = -1, known_row = 0;
    int64_t *key = j->new_key + j->kept, *code = j->new_code + j->kept;
    for (int64_t a = 0, h = first; a < count || h < last;) {
        int64_t held_rel = h < last ? (j->keys[h] & FAR) + base - next : INT64_MAX, rel = held_rel, of;
        if (a < count && j->items[a].rel <= held_rel) {
            int64_t row = j->items[a].row;
            rel = j->items[a].rel;
            a++;
            if (rel == held_rel || rel == known) {
                uint32_t body = rel == held_rel ? body_of(j, j->codes[h]) : j->body[known_row];
                if (j->body[row] != body)
                    return 0;
                again++;
                continue;
            }
            known = rel, known_row = row;
            waited += latest > row || rel != own;
            own++;
            latest = latest > row ? latest : row;
            of = code_of(j, row);
        } else {
            of = j->codes[h++];
        }
        if (rel == goes) {
            j->out_code[j->out + goes] = of;
            j->out_sid[j->out + goes] = (int32_t)sid;
            j->out_seq[j->out + goes++] = next + rel;
        } else {
            key[waits] = next + rel;
            code[waits++] = of;
        }
    }
    if (waited + last - first > j->held_rows_max)
        return 0;
    j->base[sid] = base = next + goes;
    for (int64_t i = 0; i < waits; i++) {
        int64_t distance = key[i] - base;
        j->far += distance >= FAR;
        key[i] = sid << SID_SHIFT | (distance < FAR ? distance : FAR);
    }
    for (int64_t i = 0; i < goes; i++)
        j->recent[sid * j->horizon + (j->out_seq[j->out + i] & (j->horizon - 1))] = body_of(j, j->out_code[j->out + i]);
    j->next_seq[sid] = next + goes;
    j->released[sid] += goes;
    j->duplicates[sid] += again;
    j->counts[sid] = waits;
    j->out += goes;
    j->kept += waits;
    return 1;
}

/* Go on holding records that are held. */
static void keep(struct placing *j, int64_t first, int64_t last) {
    memcpy(j->new_key + j->kept, j->keys + first, (size_t)(last - first) * 8);
    memcpy(j->new_code + j->kept, j->codes + first, (size_t)(last - first) * 8);
    j->kept += last - first;
}

/* Place every row of the sessions that are not marked as rare; mark those that are found to be. Returns 0, or -1 where
 * something named lies outside. */
int64_t place_rows(struct placing *j) {
    int64_t *begin = j->begin;
    for (int64_t i = 0; i < j->rows; i++) {
        if (j->sid[i] < 0 || j->sid[i] >= j->sessions)
            return -1;
        begin[j->sid[i] + 1]++;
    }
    for (int64_t i = 0; i < j->held; i++) {
        uint64_t batch = (uint64_t)j->codes[i] >> 32, row = (uint64_t)j->codes[i] & 0xffffffff;
        if (batch >= (uint64_t)j->batches || row >= (uint64_t)j->lengths[batch] || j->keys[i] < 0 ||
            j->keys[i] >> SID_SHIFT >= j->sessions)
            return -1;
    }
    int64_t met = 0; /* sessions that have rows; few of many, in a batch */
    for (int64_t s = 0; s < j->sessions; s++) {
        if (begin[s + 1])
            j->met[met++] = s;
        begin[s + 1] += begin[s];
    }
    /* Each session's beginning moves to its end while its rows are laid down, with their numbers: so these are read in the
     * order they lie in, and not waited for one by one. */
    for (int64_t i = 0; i < j->rows; i++)
        j->order[begin[j->sid[i]]++] = (struct item){j->seq[i], i};
    int64_t held = 0;
    for (int64_t m = 0, from = 0; m < met; from = begin[j->met[m++]]) {
        int64_t s = j->met[m], first = held;
        while (held < j->held && j->keys[held] >> SID_SHIFT < s)
            held++;
        keep(j, first, held);
        first = held;
        while (held < j->held && j->keys[held] >> SID_SHIFT == s)
            held++;
        if (j->rare[s] || !placed(j, s, from, begin[s], first, held)) {
            j->rare[s] = 1;
            keep(j, first, held);
        }
    }
    keep(j, held, j->held);
    return 0;
}
