/* Takes messages from a queue of librdkafka straight into buffers, so that no Python object is made of a message.
 *
 * Law: what `take` leaves in the buffers are messages in the order of the queue, each exactly once. A message that does
 * not fit stays for the next call. Nothing is written outside of the buffers.
 *
 * Only functions and the struct that rdkafka.h makes public are used; the caller hands the functions over, since it
 * alone knows which library the driver has loaded. One thing more is known where the caller hands over `epoch`: see
 * seems_bare().
 * Source: rdkafka.h, rd_kafka_message_t, rd_kafka_consume_batch_queue(), rd_kafka_message_headers(); Kafka's record
 * format 2, https://kafka.apache.org/documentation/#record.
 */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define PARTITION_END (-191) /* RD_KAFKA_RESP_ERR__PARTITION_EOF */
#define ERROR_TEXT 512

struct message {
    int err;
    void *topic;
    int32_t partition;
    void *payload;
    size_t length;
    void *key;
    size_t key_length;
    int64_t offset;
    void *own;
};

typedef ptrdiff_t (*consume_call)(void *queue, int timeout_ms, struct message **messages, size_t size);
typedef void (*destroy_call)(struct message *message);
typedef int (*headers_call)(const struct message *message, void **headers);
typedef int (*header_call)(const void *headers, size_t index, const char **name, const void **value, size_t *size);
typedef int32_t (*epoch_call)(const struct message *message);

struct taking {
    consume_call consume;
    destroy_call destroy;
    headers_call headers;
    header_call header;
    epoch_call epoch; /* NULL where nothing is known of what lies behind a value */
    void *queue;
    struct message **messages; /* room for `call`; those from `first` to `count` wait */
    int64_t call, first, count;
    uint8_t *values, *extras; /* values each ended by LF; keys and headers */
    int64_t values_size, extras_size, rows_size;
    int64_t *value_end, *extra_end, *offset; /* a row each; a value ends where its LF is */
    int64_t rows, values_used, extras_used;
    int64_t values_needed, extras_needed; /* by a message for which the whole buffers are too small */
    int64_t end; /* the offset behind which nothing follows, -1 where something may */
    int64_t error;
    char error_text[ERROR_TEXT];
};

const int64_t taking_bytes = sizeof(struct taking);

static void put(struct taking *t, const void *data, size_t length)
{
    if (length) {
        memcpy(t->extras + t->extras_used, data, length);
        t->extras_used += (int64_t)length;
    }
}

static void put_length(struct taking *t, const void *data, size_t length)
{
    int32_t told = data ? (int32_t)length : -1;
    put(t, &told, sizeof told);
}

/* Bytes that key and headers take: int32 length and key, then for each header two int32 lengths, name and value. */
static int64_t extra_bytes(const struct taking *t, const struct message *m, void *headers)
{
    int64_t bytes = (int64_t)sizeof(int32_t) + (m->key ? (int64_t)m->key_length : 0);
    const char *name;
    const void *value;
    size_t size;
    for (size_t i = 0; headers && !t->header(headers, i, &name, &value, &size); i++)
        bytes += (int64_t)(2 * sizeof(int32_t) + strlen(name)) + (value ? (int64_t)size : 0);
    return bytes;
}

static void put_extras(struct taking *t, const struct message *m, void *headers)
{
    const char *name;
    const void *value;
    size_t size;
    put_length(t, m->key, m->key_length);
    if (m->key)
        put(t, m->key, m->key_length);
    for (size_t i = 0; headers && !t->header(headers, i, &name, &value, &size); i++) {
        size_t length = strlen(name);
        put_length(t, name, length);
        put_length(t, value, size);
        put(t, name, length);
        if (value)
            put(t, value, size);
    }
}

/* Whether the byte behind a value says that no header follows.
 *
 * To be asked for headers costs librdkafka two allocations, also where there are none: a third of all that taking a
 * message costs. In record format 2 the number of headers follows the value, and librdkafka's messages point into the
 * record batch. Only messages of this format have the leader's epoch; an empty value points elsewhere.
 */
static int seems_bare(const struct taking *t, const struct message *m)
{
    return t->epoch && m->payload && m->length && t->epoch(m) >= 0 && !((const uint8_t *)m->payload)[m->length];
}

/* Returns NULL where there are none. librdkafka is asked all the same for the first of each call, so that the byte is
 * not believed any more by the time it lies. */
static void *headers_of(struct taking *t, const struct message *m)
{
    void *headers = NULL;
    int bare = seems_bare(t, m);
    if ((bare && t->first) || t->headers(m, &headers) || !headers)
        return NULL;
    if (bare)
        t->epoch = NULL;
    return headers;
}

/* Returns whether the message was taken. */
static int take_one(struct taking *t, const struct message *m)
{
    void *headers = headers_of(t, m);
    int64_t value = (m->payload ? (int64_t)m->length : 0) + 1, extra = extra_bytes(t, m, headers);
    if (t->rows == t->rows_size || value > t->values_size - t->values_used || extra > t->extras_size - t->extras_used) {
        if (!t->rows) {
            t->values_needed = value;
            t->extras_needed = extra;
        }
        return 0;
    }
    if (value > 1)
        memcpy(t->values + t->values_used, m->payload, (size_t)value - 1);
    t->values_used += value;
    t->values[t->values_used - 1] = '\n';
    put_extras(t, m, headers);
    t->value_end[t->rows] = t->values_used - 1;
    t->extra_end[t->rows] = t->extras_used;
    t->offset[t->rows] = m->offset;
    t->rows++;
    t->end = -1;
    return 1;
}

static void take_error(struct taking *t, const struct message *m)
{
    if (m->err == PARTITION_END) {
        t->end = m->offset;
        return;
    }
    t->error = m->err;
    t->error_text[0] = 0;
    if (m->payload) {
        size_t length = m->length < ERROR_TEXT - 1 ? m->length : ERROR_TEXT - 1;
        memcpy(t->error_text, m->payload, length);
        t->error_text[length] = 0;
    }
}

/* Takes what there is, until the buffers are full or there is an error. */
void take(struct taking *t)
{
    t->rows = t->values_used = t->extras_used = t->values_needed = t->extras_needed = 0;
    while (!t->error && t->rows < t->rows_size) {
        if (t->first == t->count) {
            ptrdiff_t got = t->consume(t->queue, 0, t->messages, (size_t)t->call);
            t->first = 0;
            t->count = got > 0 ? (int64_t)got : 0;
            if (!t->count)
                return;
        }
        while (t->first < t->count && !t->error) {
            struct message *m = t->messages[t->first];
            if (m->err)
                take_error(t, m);
            else if (!take_one(t, m))
                return;
            t->destroy(m);
            t->first++;
        }
    }
}

/* Lets go of what has not been taken. */
void let_go(struct taking *t)
{
    for (; t->first < t->count; t->first++)
        t->destroy(t->messages[t->first]);
}
