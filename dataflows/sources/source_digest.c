/* Which sources the library was compiled from, so that one that is older than those beside it is told. */
#include <stdint.h>

#ifndef SOURCE_DIGEST
#define SOURCE_DIGEST 0 /* compiled by hand */
#endif

const int64_t source_digest = SOURCE_DIGEST;
