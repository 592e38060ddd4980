/* Open runs, the rows that join them, and what is told of both. */
#ifndef PLANTSYNC_JOIN_H
#define PLANTSYNC_JOIN_H

#include "kernel.h"

enum { REASON = 5, SHIFT = 7, TEXTS = 8, QUANTITIES = 7, SUMMED = 3 };
enum { AGGREGATED, ANALYTICS_ONLY, OPERATIONAL, ROUTES };
enum { NONE, COUNT, TIME, SHIFTED, KEY, GAP, COMPLETE, FIRST };

/* RUN of dataflows/processors/runs.py, field by field. Sums wrap, as numpy's do. */
struct run {
    int32_t sid, track;
    int64_t first_seq, last_seq;
    int32_t gaps;
    int32_t texts[TEXTS];
    uint8_t is_rework;
    int32_t posting_date;
    uint64_t quantities[QUANTITIES];
    int64_t events, first_occurred_us, last_occurred_us, first_offset, last_offset;
    uint8_t late;
    int8_t cut;
};

/* Rows that join one run, and what they amount to; or those of a track, of which that is a guess. */
struct tally {
    uint64_t sums[QUANTITIES];
    int64_t low, high; /* offset */
    int32_t texts[SHIFT];
    int32_t kind, is_wrong; /* of a guess, as bucket_us: what all rows must agree in; whether they do not */
    int64_t bucket_us;
    int64_t begin, end; /* rows */
    int64_t run;        /* its slot; -1 - its place in closed; of a guess -1 where they begin a run */
};

/* A column of the rows: item i is parts[0][i] where it is their own, and otherwise item codes[i] & 0xffffffff of
 * parts[codes[i] >> 32]. All its items are 0 where it has no parts. */
struct column {
    const void *const *parts;
    int64_t own;
};

struct joining {
    int64_t rows, batches, sessions, tracks; /* sessions: of which totals, tracks: of which slots there are */
    const int64_t *codes;            /* int64[rows] */
    const int64_t *lengths, *before; /* int64[batches]: of the parts of each batch, and of all before it */
    /* int32[rows]; those of a session lie together to be routed, those of a track, which are of one session, to join. Where
     * a session is a track, that is the same column. */
    const int32_t *sid, *track, *gaps;
    const int64_t *seq;              /* int64[rows] */
    const int32_t *shift, *posting_date; /* int32[rows], or NULL where they end no run */
    struct column type, occurred_us, offset, texts[SHIFT], quantities[QUANTITIES];
    const int8_t *routes;       /* int8[256], below ROUTES, negative where there is no such type */
    int64_t is_sound, one_type; /* what was found: codes and sessions are such; all types are the same */
    /* Where runs end. Bit t of split: text t; complete: the type that closes a run, or -1; 0: no bucket, no count. */
    int64_t split, split_rework, complete, rework, bucket_us, count_max, late;
    int64_t now_us, undated; /* undated: the posting date of a run that began and is to be given its shift and date */
    int64_t *totals;         /* int64[ROUTES + SUMMED][sessions] */
    /* The open runs; a slot that is in none of slots is one of the first free_n of free. */
    struct run *records;
    int64_t *arrived_us, *free, free_n, never_us;
    int32_t *slots;
    /* What route_rows finds: which rows are aggregated, and which operational, int64[rows] each. */
    int64_t *kept, *passed, passed_n;
    /* What join_rows finds: the runs that closed, of which there is room for 2 and more; and slots of runs that began, in
     * which there may be others by now, int64[rows]. */
    struct run *closed;
    int64_t room, closed_n, *began, began_n;
    /* What join_rows keeps from call to call: a guess for each track; which is next, and its next row. Behind the guesses
     * there is room for as many stretches of rows, those of one call. */
    struct tally *tallies;
    int64_t tallies_room, guesses_n, guess, row;
    uint8_t *marks; /* uint8[rows]: whether a row differs from the one before it in anything that may matter */
    /* For each row of the batches, one behind the other, the tally it may count in, or -1; the rows that may, int32[rows],
     * ascending batch by batch; and how many of each batch, int64[batches]. NULL where they are not read from front to back. */
    int32_t *may, *reads;
    int64_t *reads_n;
};

#define NAMED(type, column, i) ((const type *)(column).parts[(uint64_t)job->codes[i] >> 32])[(uint32_t)job->codes[i]]
#define ITEM(type, column, i) ((column).own ? ((const type *)(column).parts[0])[i] : NAMED(type, column, i))

static inline int32_t text_at(const struct joining *job, int t, int64_t i) {
    return job->texts[t].parts ? ITEM(int32_t, job->texts[t], i) : 0;
}

/* When the bucket of an instant began. Wraps, and is compared only. */
static inline int64_t bucket_of(const struct joining *job, int64_t us) {
    int64_t rest = us % job->bucket_us;
    return (int64_t)((uint64_t)us - (uint64_t)(rest < 0 ? rest + job->bucket_us : rest));
}

/* Whether a row, the next of a run's or of a track's, has a gap before it. */
static inline int is_gap(const struct joining *job, int64_t i, int64_t last_seq, int32_t gaps) {
    return job->late ? (uint64_t)job->seq[i] != (uint64_t)last_seq + 1 : job->gaps[i] != gaps;
}

/* join.c */
void begin_run(struct joining *job, int64_t slot, int64_t row, int8_t type);
void rows_joined(struct joining *job, int64_t slot, int64_t begin, int64_t end);

/* join_guess.c */
void guess_tracks(struct joining *job);
void read_sums(struct joining *job, int64_t stretches);

#endif
