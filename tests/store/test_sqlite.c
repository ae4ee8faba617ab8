// The embedded store: what every store promises, with filing as it usually is, with
// everything filed at once, and with nothing ever filed.
#include "conformance.h"
#include "drive.h"
#include "scratch.h"
#include "t.h"

static tm_store *open_tuned(void *context) {
    return scratch_open("conformance.db", context);
}

static void reset(void *context) {
    (void)context;
    scratch_remove("conformance.db");
}

int main(void) {
    tm_sqlite_tuning usual = tm_sqlite_tuning_default, eager = usual, never = usual;
    eager.file_delay_ms = 0;
    eager.slice_us = 500;
    eager.wal_pages = 20;
    eager.wal_pages_max = 60;
    eager.idle_ms = 1;
    never.file_delay_ms = UINT32_MAX;
    const conformance subjects[] = {
        {"sqlite", open_tuned, reset, true, &usual},
        {"sqlite, everything filed at once", open_tuned, reset, true, &eager},
        {"sqlite, nothing filed", open_tuned, reset, true, &never},
    };
    int failed = 0;
    for (size_t i = 0; i < COUNT(subjects); i++) {
        failed += conformance_run(&subjects[i]);
    }
    return failed;
}
