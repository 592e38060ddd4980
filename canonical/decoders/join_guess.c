/* The batches are read from front to back.
 *
 * Mostly all rows of a session, which is mostly its track, join the run that is open. So that is guessed, and each guess is proved by columns that are
 * read in the order they lie in: in that of the rows, every item would be waited for. So are the columns that are summed,
 * when it is known what each row counts in.
 */
#include "join.h"

enum { ROWS_MIN = 4 }; /* of a track, on the average: a guess costs as much as some rows */

/* Whether reading all of the batches costs less than to look for so many of their rows. */
static int is_worth_reading(const struct joining *job, int64_t rows) {
    int64_t all = 0;
    for (int64_t b = 0; b < job->batches; b++)
        all += job->lengths[b];
    return job->may && all / 8 <= rows;
}

/* What counts in a type: whether it completes a run, and whether it is rework where that matters. */
static inline int32_t kind(const struct joining *job, int8_t type) {
    return (type == job->complete) << 1 | (job->split_rework && type == job->rework);
}

/* Guess that rows join the run of their track, or all begin one; is_wrong where that is plain. */
static void guess(const struct joining *job, struct tally *guess, int64_t begin, int64_t end) {
    int64_t slot = job->slots[job->track[begin]];
    const struct run *run = slot < 0 ? NULL : job->records + slot;
    int8_t type = ITEM(int8_t, job->type, begin);
    memset(guess, 0, sizeof *guess);
    guess->run = slot;
    guess->begin = begin;
    guess->end = end;
    guess->low = INT64_MAX;
    guess->high = INT64_MIN;
    guess->kind = run ? job->split_rework && run->is_rework : kind(job, type);
    for (int t = 0; t < SHIFT; t++)
        if (job->split >> t & 1)
            guess->texts[t] = run ? run->texts[t] : t == REASON ? 0 : text_at(job, t, begin);
    if (job->bucket_us)
        guess->bucket_us = bucket_of(job, run ? run->first_occurred_us : ITEM(int64_t, job->occurred_us, begin));
    int wrong = type == job->complete || kind(job, type) != guess->kind;
    wrong |= job->count_max && (run ? run->events : 0) + (end - begin) > job->count_max;
    wrong |= run && is_gap(job, begin, run->last_seq, run->gaps);
    wrong |= run && job->shift && (job->shift[begin] != run->texts[SHIFT] || job->posting_date[begin] != run->posting_date);
    for (int64_t i = begin + 1; i < end; i++)
        wrong |= is_gap(job, i, job->seq[i - 1], job->gaps[i - 1]);
    for (int64_t i = begin + 1; job->shift && i < end; i++)
        wrong |= job->shift[i] != job->shift[i - 1] || job->posting_date[i] != job->posting_date[i - 1];
    guess->is_wrong = wrong;
}

static inline int32_t *may(const struct joining *job, int64_t i) {
    return job->may + job->before[(uint64_t)job->codes[i] >> 32] + (uint32_t)job->codes[i];
}

/* Note which rows of the batches may count in something. */
static void list_reads(struct joining *job) {
    int32_t *reads = job->reads;
    for (int64_t b = 0; b < job->batches; b++) {
        const int32_t *to = job->may + job->before[b];
        int64_t n = 0;
        for (int64_t row = 0; row < job->lengths[b]; row++) {
            if (reads + n == job->reads + job->rows)
                break;
            reads[n] = (int32_t)row;
            n += to[row] >= 0;
        }
        job->reads_n[b] = n;
        reads += n;
    }
}

/* Prove the guesses by the columns that a batch has. */
static void prove(const struct joining *job, int64_t b, const int32_t *reads) {
    const int32_t *to = job->may + job->before[b], *texts[SHIFT], *reason = NULL;
    const int8_t *type = job->one_type || job->type.own ? NULL : job->type.parts[b];
    const int64_t *occurred_us = !job->bucket_us || job->occurred_us.own ? NULL : job->occurred_us.parts[b];
    int text[SHIFT], n = 0;
    for (int t = 0; t < SHIFT; t++) {
        if (!(job->split >> t & 1) || !job->texts[t].parts || job->texts[t].own)
            continue;
        if (t == REASON)
            reason = job->texts[t].parts[b];
        else {
            text[n] = t;
            texts[n++] = job->texts[t].parts[b];
        }
    }
    if (!n && !reason && !type && !occurred_us)
        return;
    for (const int32_t *end = reads + job->reads_n[b]; reads < end; reads++) {
        int64_t row = *reads;
        struct tally *guess = job->tallies + to[row];
        int wrong = 0;
        for (int t = 0; t < n; t++)
            wrong |= texts[t][row] != guess->texts[text[t]];
        if (type)
            wrong |= kind(job, type[row]) != guess->kind;
        if (reason)
            wrong |= reason[row] && reason[row] != guess->texts[REASON];
        if (occurred_us)
            wrong |= (uint64_t)occurred_us[row] - (uint64_t)guess->bucket_us >= (uint64_t)job->bucket_us;
        guess->is_wrong |= wrong;
    }
}

/* Prove a guess by the columns that are the rows' own, and by those that are absent. */
static int is_wrong_by_own(const struct joining *job, const struct tally *guess) {
    int wrong = 0;
    for (int t = 0; t < SHIFT; t++) {
        const struct column *column = job->texts + t;
        const int32_t *items = column->parts ? column->parts[0] : NULL;
        if (!(job->split >> t & 1) || (items && !column->own))
            continue;
        if (!items)
            wrong |= t != REASON && guess->texts[t];
        for (int64_t i = guess->begin; items && i < guess->end; i++)
            wrong |= (t != REASON || items[i]) && items[i] != guess->texts[t];
    }
    for (int64_t i = guess->begin; !job->one_type && job->type.own && i < guess->end; i++)
        wrong |= kind(job, ITEM(int8_t, job->type, i)) != guess->kind;
    for (int64_t i = guess->begin; job->bucket_us && job->occurred_us.own && i < guess->end; i++)
        wrong |= bucket_of(job, ITEM(int64_t, job->occurred_us, i)) != guess->bucket_us;
    return wrong;
}

/* Make a guess for each track, and let the rows join of which it is true. Where guessing does not pay, all rows are as if
 * they were of one track for which the guess is wrong. */
void guess_tracks(struct joining *job) {
    int64_t n = job->rows, heads = 1;
    for (int64_t i = 1; i < n; i++)
        heads += job->track[i] != job->track[i - 1];
    if (heads * ROWS_MIN > n || heads > job->tallies_room / 2 || (job->codes && !is_worth_reading(job, n))) {
        job->tallies[0] = (struct tally){.is_wrong = 1, .end = n};
        job->guesses_n = 1;
        job->may = NULL;
        return;
    }
    for (int64_t begin = 0, end; begin < n; begin = end) {
        for (end = begin + 1; end < n && job->track[end] == job->track[begin];)
            end++;
        guess(job, job->tallies + job->guesses_n++, begin, end);
    }
    if (job->codes) {
        for (int64_t b = 0; b < job->batches; b++)
            memset(job->may + job->before[b], -1, (size_t)job->lengths[b] * sizeof *job->may);
        for (int64_t g = 0; g < job->guesses_n; g++)
            for (int64_t i = job->tallies[g].begin; i < job->tallies[g].end; i++)
                *may(job, i) = (int32_t)g;
        list_reads(job);
        const int32_t *reads = job->reads;
        for (int64_t b = 0; b < job->batches; reads += job->reads_n[b++])
            prove(job, b, reads);
    }
    for (struct tally *guess = job->tallies; guess < job->tallies + job->guesses_n; guess++) {
        int64_t track = job->track[guess->begin];
        guess->is_wrong = guess->is_wrong || is_wrong_by_own(job, guess) || (guess->run < 0 && !job->free_n);
        if (guess->is_wrong)
            continue;
        if (guess->run < 0) {
            guess->run = job->slots[track] = (int32_t)job->free[--job->free_n];
            begin_run(job, guess->run, guess->begin, ITEM(int8_t, job->type, guess->begin));
        }
        rows_joined(job, guess->run, guess->begin, guess->end);
    }
}

/* Read the columns that are summed, for the guesses and the stretches. */
void read_sums(struct joining *job, int64_t stretches) {
    const int32_t *reads = job->reads;
    for (int64_t s = job->guesses_n; s < job->guesses_n + stretches; s++)
        for (int64_t i = job->tallies[s].begin; i < job->tallies[s].end; i++)
            *may(job, i) = (int32_t)s;
    for (int64_t b = 0; b < job->batches; b++) {
        const int32_t *to = job->may + job->before[b];
        const int64_t *offset = job->offset.own ? NULL : job->offset.parts[b];
        const uint64_t *items[QUANTITIES];
        int quantity[QUANTITIES], n = 0;
        for (int q = 0; q < QUANTITIES; q++)
            if (job->quantities[q].parts && !job->quantities[q].own) {
                quantity[n] = q;
                items[n++] = job->quantities[q].parts[b];
            }
        for (const int32_t *end = reads + job->reads_n[b]; reads < end; reads++) {
            int64_t row = *reads;
            struct tally *tally = job->tallies + to[row];
            for (int q = 0; q < n; q++)
                tally->sums[quantity[q]] += items[q][row];
            if (offset) {
                tally->low = offset[row] < tally->low ? offset[row] : tally->low;
                tally->high = offset[row] > tally->high ? offset[row] : tally->high;
            }
        }
    }
}
