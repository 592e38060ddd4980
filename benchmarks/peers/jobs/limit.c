/* Job J in C on one thread: about as fast as this work can be done while reading JSON.
 *
 *     limit INPUT_FOLDER OUTPUT_FILE
 *
 * Does: map each *.ndjson of the folder, in the order of names; find the fields by name, in whatever order
 * they stand; drop duplicates, put the events of each source in order, sum each run of one order and
 * operation, write it when the next run begins.
 * Does not: check anything (it trusts that the input is W: flat objects without spaces or escapes, numbers
 * without fractions), know types, units or time, survive a crash, bound its memory. It is a limit, no product.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* A piece of a mapped file; files stay mapped to the end, so that nothing is copied. */
typedef struct {
    const char *at;
    int length;
} Text;

typedef struct {
    Text plant, source, time, order, operation, work_center, lot;
    int64_t seq, good, scrap, runtime, energy;
} Event;

typedef struct {
    Text name;
    int64_t next;               /* the number that continues the sequence */
    Event *held;                /* events above it, in no order: there are few */
    int held_count, held_room;
    Event run;                  /* first event of the open run, with its sums */
    int64_t run_events;
    Text run_first, run_last;
} Source;

/* Sources stand side by side, so that those in use share few pages; slots say which, by the hash of the name. */
enum { SLOTS = 1 << 18 }; /* for 100,000 sources; a power of two */
static uint32_t slots[SLOTS]; /* 0: free; else the number of the source, from 1 */
static Source *sources;
static uint32_t source_count, source_room;
static FILE *output;

static Source *new_source(Text name) {
    if (source_count == source_room) {
        source_room = source_room ? source_room * 2 : 1024;
        sources = realloc(sources, source_room * sizeof(Source));
        if (!sources || source_room > SLOTS / 2 + 1)
            abort();
    }
    Source *made = &sources[source_count++];
    memset(made, 0, sizeof *made);
    made->name = name;
    return made;
}

static Source *source_of(Text name) {
    uint64_t hash = 1469598103934665603ULL; /* FNV-1a */
    for (int i = 0; i < name.length; i++)
        hash = (hash ^ (uint8_t)name.at[i]) * 1099511628211ULL;
    for (uint64_t slot = hash & (SLOTS - 1);; slot = (slot + 1) & (SLOTS - 1)) {
        if (!slots[slot]) {
            Source *made = new_source(name);
            slots[slot] = source_count;
            return made;
        }
        Source *found = &sources[slots[slot] - 1];
        if (found->name.length == name.length && !memcmp(found->name.at, name.at, name.length))
            return found;
    }
}

static inline int same(Text a, Text b) { return a.length == b.length && !memcmp(a.at, b.at, a.length); }

static void put_text(const char *name, Text text) { fprintf(output, "\"%s\":\"%.*s\",", name, text.length, text.at); }

static void put_number(const char *name, int64_t number) { fprintf(output, "\"%s\":%" PRId64 ",", name, number); }

static void confirm(const Source *source) {
    const Event *run = &source->run;
    fputc('{', output);
    put_text("plant", run->plant);
    put_text("source", run->source);
    put_text("order", run->order);
    put_text("operation", run->operation);
    put_text("work_center", run->work_center);
    put_text("lot", run->lot);
    put_number("good_qty", run->good);
    put_number("scrap_qty", run->scrap);
    put_number("runtime_ms", run->runtime);
    put_number("energy_wh", run->energy);
    put_number("events", source->run_events);
    put_text("first_time", source->run_first);
    fprintf(output, "\"last_time\":\"%.*s\"}\n", source->run_last.length, source->run_last.at);
}

/* Account for the event that continues the sequence of its source. */
static void account(Source *source, const Event *event) {
    Event *run = &source->run;
    if (!source->run_events || !same(run->order, event->order) || !same(run->operation, event->operation)) {
        if (source->run_events)
            confirm(source);
        *run = *event;
        source->run_events = 1;
        source->run_first = event->time;
    } else {
        run->good += event->good;
        run->scrap += event->scrap;
        run->runtime += event->runtime;
        run->energy += event->energy;
        source->run_events++;
    }
    source->run_last = event->time;
    source->next++;
}

static void hold(Source *source, const Event *event) {
    for (int i = 0; i < source->held_count; i++)
        if (source->held[i].seq == event->seq)
            return;
    if (source->held_count == source->held_room) {
        source->held_room = source->held_room ? source->held_room * 2 : 8;
        source->held = realloc(source->held, source->held_room * sizeof(Event));
        if (!source->held)
            abort();
    }
    source->held[source->held_count++] = *event;
}

/* Account for the held event that is next. Returns 0 when there is none. */
static int release(Source *source) {
    for (int i = 0; i < source->held_count; i++)
        if (source->held[i].seq == source->next) {
            Event event = source->held[i];
            source->held[i] = source->held[--source->held_count];
            account(source, &event);
            return 1;
        }
    return 0;
}

/* Read one line at `at` into the event. Returns where the next line begins. */
static inline const char *read_event(const char *at, Event *event) {
    at++; /* { */
    for (;;) {
        const char *key = ++at;
        while (*at != '"')
            at++;
        const int key_length = at - key;
        Text text = {0, 0};
        int64_t number = 0;
        at += 2; /* ": */
        if (*at == '"') {
            text.at = ++at;
            while (*at != '"')
                at++;
            text.length = at++ - text.at;
        } else if (*at == 'n') {
            at += 4; /* null */
        } else {
            const int negative = *at == '-';
            at += negative;
            while (*at >= '0' && *at <= '9')
                number = number * 10 + (*at++ - '0');
            number = negative ? -number : number;
        }
#define IS(name) (key_length == sizeof(name) - 1 && !memcmp(key, name, sizeof(name) - 1))
        if (IS("plant")) event->plant = text;
        else if (IS("source")) event->source = text;
        else if (IS("seq")) event->seq = number;
        else if (IS("event_time")) event->time = text;
        else if (IS("order")) event->order = text;
        else if (IS("operation")) event->operation = text;
        else if (IS("work_center")) event->work_center = text;
        else if (IS("good_qty")) event->good = number;
        else if (IS("scrap_qty")) event->scrap = number;
        else if (IS("runtime_ms")) event->runtime = number;
        else if (IS("energy_wh")) event->energy = number;
        else if (IS("lot")) event->lot = text;
#undef IS
        if (*at++ == '}')
            return at + 1; /* the line's end */
    }
}

static void read_file(int folder, const char *name) {
    const int file = openat(folder, name, O_RDONLY);
    struct stat status;
    if (file < 0 || fstat(file, &status)) {
        perror(name);
        exit(1);
    }
    if (!status.st_size)
        return;
    const char *at = mmap(0, status.st_size, PROT_READ, MAP_PRIVATE | MAP_POPULATE, file, 0), *end = at + status.st_size;
    if (at == MAP_FAILED) {
        perror(name);
        exit(1);
    }
    madvise((void *)at, status.st_size, MADV_SEQUENTIAL);
    close(file);
    while (at < end) {
        Event event;
        memset(&event, 0, sizeof event);
        at = read_event(at, &event);
        Source *source = source_of(event.source);
        if (event.seq > source->next) {
            hold(source, &event);
        } else if (event.seq == source->next) {
            account(source, &event);
            while (source->held_count && release(source))
                ;
        }
    }
}

static int is_events(const struct dirent *entry) {
    const char *dot = strrchr(entry->d_name, '.');
    return dot && !strcmp(dot, ".ndjson");
}

int main(int count, char **arguments) {
    if (count != 3) {
        fprintf(stderr, "usage: %s INPUT_FOLDER OUTPUT_FILE\n", arguments[0]);
        return 2;
    }
    struct dirent **entries;
    const int folder = open(arguments[1], O_RDONLY | O_DIRECTORY);
    const int files = scandir(arguments[1], &entries, is_events, alphasort);
    output = fopen(arguments[2], "w");
    if (folder < 0 || files < 0 || !output) {
        perror("limit");
        return 1;
    }
    for (int i = 0; i < files; i++)
        read_file(folder, entries[i]->d_name);
    return fclose(output) ? 1 : 0;
}
