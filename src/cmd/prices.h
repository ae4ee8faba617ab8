// prices.h - what DynamoDB charges: a few lines of text that a person edits.
//
//     # a comment
//     region                us-east-1      a word, for people
//     write-units-million   0.625          dollars for a million write units
//     read-units-million    0.125
//     storage-gb-month      0.25           for a GB kept for a month
//     recovery-gb-month     0.20           the same, for point-in-time recovery
//
// Every line but comments must be there, once.
//
// Knows core/base.h.
#ifndef TM_CMD_PRICES_H
#define TM_CMD_PRICES_H

#include "core/base.h"

typedef struct tm_prices {
    char region[64];
    double write_million, read_million; // dollars
    double storage_gb_month, recovery_gb_month;
} tm_prices;

// The text of src/cmd/prices.txt.
extern const char tm_prices_usual[];

// tm_prices_read - TM_E_FORMAT: `problem` says which line.
TM_MUST_USE tm_status tm_prices_read(tm_span text, tm_prices *prices,
                                     char problem[160]);

#endif
