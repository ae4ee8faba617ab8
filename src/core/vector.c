// vector.c - see vector.h.
#include "core/vector.h"

#include "core/sort.h"

#include <string.h>

typedef struct vector_entry {
    uint64_t version;
    size_t len;
    uint8_t browser[]; // the table's key
} vector_entry;

void tm_vector_init(tm_vector *vector, const tm_alloc *alloc, tm_seed seed) {
    tm_table_init(&vector->table, alloc, seed);
}

void tm_vector_deinit(tm_vector *vector) {
    if (vector == NULL) return;
    size_t at = 0;
    tm_table_slot *slot;
    while ((slot = tm_table_next(&vector->table, &at)) != NULL) {
        vector_entry *entry = slot->value;
        tm_alloc_put(vector->table.alloc, entry, sizeof *entry + entry->len);
    }
    tm_table_deinit(&vector->table);
}

uint64_t tm_vector_get(const tm_vector *vector, tm_span browser) {
    const vector_entry *entry = tm_table_get(&vector->table, browser);
    return entry != NULL ? entry->version : 0;
}

tm_status tm_vector_set(tm_vector *vector, tm_span browser, uint64_t version) {
    vector_entry *entry = tm_table_get(&vector->table, browser);
    if (entry != NULL) {
        entry->version = version;
        return TM_OK;
    }
    const tm_alloc *alloc = vector->table.alloc;
    entry = tm_alloc_get(alloc, sizeof *entry + browser.len);
    if (entry == NULL) return tm_refused();
    entry->version = version;
    entry->len = browser.len;
    if (browser.len > 0) memcpy(entry->browser, browser.ptr, browser.len);
    tm_status status =
        tm_table_set(&vector->table, (tm_span){entry->browser, browser.len}, entry);
    if (status != TM_OK) tm_alloc_put(alloc, entry, sizeof *entry + browser.len);
    return status;
}

static int entry_cmp(const void *a, const void *b) {
    const vector_entry *x = a, *y = b;
    return tm_span_cmp((tm_span){x->browser, x->len},
                       (tm_span){y->browser, y->len});
}

void tm_vector_write(const tm_vector *vector, tm_buf *out) {
    size_t count = vector->table.count;
    const void **sorted = tm_alloc_get(out->alloc, count * sizeof *sorted);
    if (sorted == NULL) {
        out->status = TM_E_NOMEM;
        return;
    }
    size_t at = 0, filled = 0;
    for (tm_table_slot *slot;
         (slot = tm_table_next(&vector->table, &at)) != NULL;) {
        sorted[filled++] = slot->value;
    }
    tm_sort(sorted, count, entry_cmp);
    tm_buf_byte(out, '{');
    for (size_t i = 0; i < count; i++) {
        const vector_entry *entry = sorted[i];
        if (i > 0) tm_buf_byte(out, ',');
        tm_buf_json(out, (tm_span){entry->browser, entry->len});
        tm_buf_byte(out, ':');
        tm_buf_u64(out, entry->version);
    }
    tm_buf_byte(out, '}');
    tm_alloc_put(out->alloc, sorted, count * sizeof *sorted);
}
