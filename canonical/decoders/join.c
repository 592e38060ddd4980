/* Rows join the open runs of their sessions, in one pass over the batches they lie in. */
#include "join.h"

const int64_t joining_bytes = sizeof(struct joining), run_bytes = sizeof(struct run), tally_bytes = sizeof(struct tally);

/* Whether the types of all rows are found to be the same, by reading the batches from front to back. */
static int is_one_type(const struct joining *job) {
    int64_t others = 0, held = 0;
    if (job->type.own) {
        const int8_t *types = job->type.parts[0];
        for (int64_t i = 1; i < job->rows; i++)
            others += types[i] != types[0];
        return !others;
    }
    for (int64_t b = 0; b < job->batches; b++)
        held += job->lengths[b];
    if (held / 8 > job->rows)
        return 0;
    for (int64_t b = 0; b < job->batches; b++) {
        const int8_t *types = job->type.parts[b], first = NAMED(int8_t, job->type, 0);
        for (int64_t i = 0; i < job->lengths[b]; i++)
            others += types[i] != first;
    }
    return !others;
}

/* Whether every code names a row and every session and track is one; finds out whether all types are the same. */
static int is_sound(struct joining *job) {
    uint64_t wrong = 0;
    for (int64_t i = 0; job->codes && i < job->rows; i++) {
        uint64_t batch = (uint64_t)job->codes[i] >> 32;
        if (batch >= (uint64_t)job->batches || (uint32_t)job->codes[i] >= (uint64_t)job->lengths[batch])
            return 0;
    }
    for (int64_t i = 0; i < job->rows; i++)
        wrong |= (uint64_t)(job->sid[i] < 0) | (job->sid[i] >= job->sessions);
    for (int64_t i = 0; i < job->rows && (job->track != job->sid || job->tracks < job->sessions); i++)
        wrong |= (uint64_t)(job->track[i] < 0) | (job->track[i] >= job->tracks);
    job->one_type = is_one_type(job);
    job->is_sound = !wrong;
    return !wrong;
}

/* Find out which way each row goes, and count it. Returns how many are aggregated, and writes which, in kept, where not all
 * are; -1 where the job is not sound. */
int64_t route_rows(struct joining *job) {
    int64_t n = job->rows, kept = 0, passed = 0;
    if (!n || !is_sound(job))
        return n ? -1 : 0;
    int64_t same = job->routes[(uint8_t)ITEM(int8_t, job->type, 0)];
    for (int64_t i = 0, end; i < n; i = end) {
        int64_t counts[ROUTES] = {0};
        for (end = i + 1; end < n && job->sid[end] == job->sid[i];)
            end++;
        for (int64_t k = i; !job->one_type && k < end; k++) {
            int64_t route = job->routes[(uint8_t)ITEM(int8_t, job->type, k)];
            if (route < 0)
                return -1;
            counts[route]++;
            job->kept[kept] = job->passed[passed] = k;
            kept += route == AGGREGATED;
            passed += route == OPERATIONAL;
        }
        if (job->one_type && same < 0)
            return -1;
        if (job->one_type)
            counts[same] = end - i;
        for (int r = 0; r < ROUTES; r++)
            job->totals[r * job->sessions + job->sid[i]] += counts[r];
    }
    if (job->one_type && same == OPERATIONAL)
        for (; passed < n; passed++)
            job->passed[passed] = passed;
    job->passed_n = passed;
    return !job->one_type ? kept : same == AGGREGATED ? n : 0;
}

/* Leave out the quantities that are 0 everywhere. The search ends at the first that is not, and is not begun where the
 * batches hold many more rows than are asked for. */
static void leave_zeros_out(struct joining *job) {
    int64_t held = 0, item = 0;
    for (int64_t b = 0; b < job->batches; b++)
        held += job->lengths[b];
    for (int q = 0; q < QUANTITIES; q++, item = 0) {
        struct column *column = job->quantities + q;
        if (!column->parts || held / 8 > job->rows)
            continue;
        for (int64_t b = 0; !item && b < (column->own ? 1 : job->batches); b++) {
            const int64_t *items = column->parts[b];
            for (int64_t i = 0, n = column->own ? job->rows : job->lengths[b]; !item && i < n; i++)
                item = items[i];
        }
        if (!item)
            column->parts = NULL;
    }
}

/* Mark the rows from begin to end, but for the first, that have another item than the row before. */
#define MARK(name, type)                                                                                               \
    static void name(const struct joining *job, const struct column *column, int64_t begin, int64_t end) {             \
        if (!column->parts)                                                                                            \
            return;                                                                                                    \
        type before = ITEM(type, *column, begin);                                                                      \
        for (int64_t i = begin + 1; i < end; i++) {                                                                    \
            type item = ITEM(type, *column, i);                                                                        \
            job->marks[i] |= item != before;                                                                           \
            before = item;                                                                                             \
        }                                                                                                              \
    }
MARK(mark_texts, int32_t)
MARK(mark_types, int8_t)

/* Mark the rows from begin to end that differ from the one before in anything that may matter. */
static void mark(const struct joining *job, int64_t begin, int64_t end) {
    job->marks[begin] = 1;
    for (int64_t i = begin + 1; i < end; i++)
        job->marks[i] = job->track[i] != job->track[i - 1] || is_gap(job, i, job->seq[i - 1], job->gaps[i - 1]);
    if (!job->one_type)
        mark_types(job, &job->type, begin, end);
    for (int t = 0; t < SHIFT; t++)
        if (job->split >> t & 1)
            mark_texts(job, job->texts + t, begin, end);
    for (int64_t i = begin + 1; job->shift && i < end; i++)
        job->marks[i] |= job->shift[i] != job->shift[i - 1] || job->posting_date[i] != job->posting_date[i - 1];
    for (int64_t i = begin, bucket, before = 0; job->bucket_us && i < end; i++, before = bucket) {
        bucket = bucket_of(job, ITEM(int64_t, job->occurred_us, i));
        job->marks[i] |= bucket != before;
    }
}

/* Why the run ends before row i, or NONE. */
static int cut_before(const struct joining *job, const struct run *run, int64_t i, int8_t type) {
    if (is_gap(job, i, run->last_seq, run->gaps))
        return GAP;
    for (int t = 0; t < SHIFT; t++)
        if (job->split >> t & 1) {
            int32_t text = text_at(job, t, i);
            if (t == REASON ? text && run->texts[t] && text != run->texts[t] : text != run->texts[t])
                return KEY;
        }
    if (job->split_rework && (type == job->rework) != run->is_rework)
        return KEY;
    if (job->shift && (job->shift[i] != run->texts[SHIFT] || job->posting_date[i] != run->posting_date))
        return SHIFTED;
    if (job->bucket_us && bucket_of(job, ITEM(int64_t, job->occurred_us, i)) != bucket_of(job, run->first_occurred_us))
        return TIME;
    return job->count_max && run->events >= job->count_max ? COUNT : NONE;
}

/* Begin a run with a row, but for what all its rows amount to. */
void begin_run(struct joining *job, int64_t slot, int64_t i, int8_t type) {
    struct run *run = job->records + slot;
    memset(run, 0, sizeof *run);
    run->sid = job->sid[i];
    run->track = job->track[i];
    run->first_seq = job->seq[i];
    run->gaps = job->gaps[i];
    for (int t = 0; t < SHIFT; t++)
        if (t != REASON)
            run->texts[t] = text_at(job, t, i);
    run->is_rework = type == job->rework;
    run->first_occurred_us = ITEM(int64_t, job->occurred_us, i);
    run->first_offset = INT64_MAX;
    run->last_offset = INT64_MIN;
    run->late = (uint8_t)job->late;
    if (job->shift) {
        run->texts[SHIFT] = job->shift[i];
        run->posting_date = job->posting_date[i];
        return;
    }
    run->posting_date = (int32_t)job->undated;
    if (!job->began_n || job->began[job->began_n - 1] != slot)
        job->began[job->began_n++] = slot;
}

/* Rows have joined a run, but for their sums. */
void rows_joined(struct joining *job, int64_t slot, int64_t begin, int64_t end) {
    struct run *run = job->records + slot;
    run->events += end - begin;
    run->last_seq = job->seq[end - 1];
    run->last_occurred_us = ITEM(int64_t, job->occurred_us, end - 1);
    job->arrived_us[slot] = job->now_us;
}

/* A copy of the run goes to the closed ones, and so do the sums of its stretch in this call, if it has one. */
static void close_run(struct joining *job, int64_t slot, int cut, struct tally *stretch) {
    job->closed[job->closed_n] = job->records[slot];
    job->closed[job->closed_n++].cut = (int8_t)cut;
    if (stretch)
        stretch->run = -job->closed_n;
}

/* Find the stretches of the rows from `row` to `end`, with all that their runs are but sums, and add them to those behind
 * the guesses. Returns the row to go on with. */
static int64_t stretch(struct joining *job, int64_t row, int64_t end, int64_t *stretches) {
    struct tally *last = NULL; /* the last stretch, where its run is still open */
    for (int64_t alike; row < end; row += alike) {
        int64_t track = job->track[row], slot = job->slots[track];
        int8_t type = ITEM(int8_t, job->type, row);
        if (job->room - job->closed_n < 2 || job->guesses_n + *stretches == job->tallies_room || (slot < 0 && !job->free_n))
            break;
        int cut = slot < 0 ? FIRST : cut_before(job, job->records + slot, row, type);
        last = last && last->run == slot ? last : NULL;
        if (cut == FIRST)
            slot = job->slots[track] = (int32_t)job->free[--job->free_n];
        else if (cut)
            close_run(job, slot, cut, last);
        if (cut) {
            begin_run(job, slot, row, type);
            last = NULL;
        }
        struct run *run = job->records + slot;
        for (alike = 1; row + alike < end && !job->marks[row + alike];)
            alike++;
        if (job->count_max && alike > job->count_max - run->events)
            alike = job->count_max - run->events;
        if (type == job->complete)
            alike = 1;
        if (!last) {
            last = job->tallies + job->guesses_n + (*stretches)++;
            *last = (struct tally){.low = INT64_MAX, .high = INT64_MIN, .begin = row, .run = slot};
        }
        last->end = row + alike;
        rows_joined(job, slot, row, row + alike);
        int32_t reason = job->split >> REASON & 1 ? text_at(job, REASON, row) : 0;
        run->texts[REASON] = reason ? reason : run->texts[REASON];
        if (type == job->complete) {
            close_run(job, slot, COMPLETE, last);
            last = NULL;
            job->arrived_us[slot] = job->never_us;
            job->free[job->free_n++] = slot;
            job->slots[track] = -1;
        }
    }
    return row;
}

enum { AHEAD = 16 }; /* So many rows on, an item is loaded in time. */

/* Have an item loaded that is not with its neighbours. */
static inline __attribute__((always_inline)) void foresee(const struct joining *job, const struct column *column, int64_t i) {
    if (!column->own && i < job->rows)
        __builtin_prefetch(&NAMED(int64_t, *column, i));
}

/* Sum the columns of a tally: those that are the rows' own, or all. */
static void sum(const struct joining *job, struct tally *tally, int own) {
    for (int q = 0; q < QUANTITIES; q++) {
        const struct column *column = job->quantities + q;
        if (column->parts && (!own || column->own))
            for (int64_t i = tally->begin; i < tally->end; i++) {
                foresee(job, column, i + AHEAD);
                tally->sums[q] += ITEM(uint64_t, *column, i);
            }
    }
    for (int64_t i = tally->begin; (!own || job->offset.own) && i < tally->end; i++) {
        foresee(job, &job->offset, i + AHEAD);
        int64_t offset = ITEM(int64_t, job->offset, i);
        tally->low = offset < tally->low ? offset : tally->low;
        tally->high = offset > tally->high ? offset : tally->high;
    }
}

/* Add what a tally amounts to to its run and to the totals of the session. */
static void add(struct joining *job, const struct tally *tally) {
    struct run *run = tally->run < 0 ? job->closed - 1 - tally->run : job->records + tally->run;
    for (int q = 0; q < QUANTITIES; q++)
        run->quantities[q] += tally->sums[q];
    for (int q = 0; q < SUMMED; q++) {
        int64_t *total = job->totals + (ROUTES + q) * job->sessions + run->sid;
        *total = (int64_t)((uint64_t)*total + tally->sums[q]);
    }
    run->first_offset = tally->low < run->first_offset ? tally->low : run->first_offset;
    run->last_offset = tally->high > run->last_offset ? tally->high : run->last_offset;
}

/* Let rows, all of them aggregated, join their runs. Returns 1 where all are done; 0 where it is to be called again, with
 * a free slot and room for closed runs; -1 where the job is not sound. */
int64_t join_rows(struct joining *job) {
    int64_t stretches = 0, from = job->guesses_n;
    if (!job->is_sound && !is_sound(job))
        return -1;
    if (!job->guesses_n) {
        leave_zeros_out(job);
        guess_tracks(job);
        from = 0;
    }
    for (; job->guess < job->guesses_n; job->guess++) {
        const struct tally *guess = job->tallies + job->guess;
        if (!guess->is_wrong)
            continue;
        if (job->row <= guess->begin) {
            job->row = guess->begin;
            mark(job, guess->begin, guess->end);
        }
        job->row = stretch(job, job->row, guess->end, &stretches);
        if (job->row < guess->end)
            break;
    }
    int is_read = !from && job->may && job->codes;
    if (is_read)
        read_sums(job, stretches);
    for (int64_t t = from; t < job->guesses_n + stretches; t++)
        if (!job->tallies[t].is_wrong) {
            sum(job, job->tallies + t, is_read);
            add(job, job->tallies + t);
        }
    return job->guess == job->guesses_n;
}
