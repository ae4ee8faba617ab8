// usage.h - what servers asked of DynamoDB, out of the text of their /metrics, and what it
// comes to.
//
// Knows store/store.h, cmd/prices.h.
#ifndef TM_CMD_USAGE_H
#define TM_CMD_USAGE_H

#include "cmd/prices.h"
#include "store/store.h"

#define TM_USAGE_KIND_MAX 24u     // bytes of a kind's name
#define TM_USAGE_MONTH    30.4375 // days
#define TM_USAGE_ROW      300.0 // bytes of a row beside its operations, as AWS counts

typedef struct tm_usage_kind {
    char name[TM_USAGE_KIND_MAX + 1]; // "append"
    bool writes;                      // its units are write units
    uint64_t requests, retries, units_milli;
} tm_usage_kind;

// Added up over all that were read.
typedef struct tm_usage {
    tm_usage_kind kinds[TM_STORE_COSTS_MAX];
    size_t count;
    uint64_t list_days;        // each list once on each day it was in use
    uint64_t operations_bytes; // appended
    uint64_t appends;
} tm_usage;

// tm_usage_add - what one server says. TM_E_STATE: nothing of what is paid for: its lists
// are kept elsewhere. TM_E_FORMAT: it is not the text of our metrics, or not whole.
TM_MUST_USE tm_status tm_usage_add(tm_usage *usage, tm_span metrics);

typedef struct tm_bill {
    double requests, write_units, read_units;
    double dollars;
} tm_bill;

// tm_bill_kind, tm_bill_all - what a kind, or everything, came to.
tm_bill tm_bill_kind(const tm_usage_kind *kind, const tm_prices *prices);
tm_bill tm_bill_all(const tm_usage *usage, const tm_prices *prices);

// tm_bill_times - so often as much.
tm_bill tm_bill_times(tm_bill bill, double times);

// tm_usage_growth - bytes that all appends so far left in the table, about.
double tm_usage_growth(const tm_usage *usage);

#endif
