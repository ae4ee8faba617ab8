// dynamodb_fault.h - what an answer that is not 200 means. One table.
//
// Knows core/.
#ifndef TM_STORE_DYNAMODB_FAULT_H
#define TM_STORE_DYNAMODB_FAULT_H

#include "core/base.h"

typedef enum tm_dynamodb_class {
    TM_DYNAMODB_THROTTLED, // nothing was done: later
    TM_DYNAMODB_BUSY,      // a 5xx: a write may have been done
    TM_DYNAMODB_CONDITION, // the condition did not hold
    TM_DYNAMODB_KEYS,      // not these credentials; others may do
    TM_DYNAMODB_CLOCK,     // nothing was done: not signed at this time
    TM_DYNAMODB_DENIED,    // nor will others soon: a policy
    TM_DYNAMODB_NO_TABLE,
    TM_DYNAMODB_TABLE_THERE,
    TM_DYNAMODB_TOO_LARGE,
    TM_DYNAMODB_REFUSED, // it will be refused every time
} tm_dynamodb_class;

typedef struct tm_dynamodb_fault {
    const char *name; // behind the '#' of __type
    tm_dynamodb_class what;
    const char *advice; // for people: what to do; may be NULL
} tm_dynamodb_fault;

// tm_dynamodb_fault_of - what this answer means; never NULL.
//   type, message   of its body; empty if it has none
const tm_dynamodb_fault *tm_dynamodb_fault_of(uint32_t status, tm_span type,
                                              tm_span message);

#endif
