// vector.h - the version vector: of each browser the highest version that was decided,
// without a hole below it. It finds duplicates and gaps, nothing else (SEMANTICS 5, 9).
//
// Knows core/table.h, core/buf.h.
#ifndef TM_CORE_VECTOR_H
#define TM_CORE_VECTOR_H

#include "core/buf.h"
#include "core/table.h"

typedef struct tm_vector {
    tm_table table; // browserId -> entry, owned
} tm_vector;

void tm_vector_init(tm_vector *vector, const tm_alloc *alloc, tm_seed seed);
void tm_vector_deinit(tm_vector *vector);

// tm_vector_get - 0 for a browser never heard of.
uint64_t tm_vector_get(const tm_vector *vector, tm_span browser);

// tm_vector_set - `browser` is copied. TM_E_NOMEM: unchanged.
TM_MUST_USE tm_status tm_vector_set(tm_vector *vector, tm_span browser,
                                    uint64_t version);

// tm_vector_write - a JSON object, keys by bytes: {"b-a":57,"b-b":3}.
void tm_vector_write(const tm_vector *vector, tm_buf *out);

#endif
