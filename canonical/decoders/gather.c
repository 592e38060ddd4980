/* One column out of the columns of many batches. */
#include "kernel.h"

/* Item i of out is item code[i] & 0xffffffff of column[code[i] >> 32]; a column that is absent is of length 0. The
 * result is n, or -1 where a code lies outside. */
#define GATHER(name, type)                                                                                             \
    int64_t name(const type *const *columns, const int64_t *lengths, int64_t count, const int64_t *codes, int64_t n,   \
                 type *out) {                                                                                          \
        for (int64_t i = 0; i < n; i++) {                                                                              \
            uint64_t column = (uint64_t)codes[i] >> 32, row = (uint64_t)codes[i] & 0xffffffff;                         \
            if (column >= (uint64_t)count || row >= (uint64_t)lengths[column])                                         \
                return -1;                                                                                             \
            out[i] = columns[column][row];                                                                             \
        }                                                                                                              \
        return n;                                                                                                      \
    }

GATHER(gather_1, uint8_t)
GATHER(gather_4, uint32_t)
GATHER(gather_8, uint64_t)
