// check_copy.h - the rows of two tables of DynamoDB, copied to two others.
//
// Knows store/dynamodb.h.
#ifndef TM_CMD_CHECK_COPY_H
#define TM_CMD_CHECK_COPY_H

#include "store/dynamodb.h"

// tm_check_copy - from the tables of `from` to those of `to`, which must be there and
// empty. Blocks.
TM_MUST_USE tm_status tm_check_copy(const tm_dynamodb_options *from,
                                    const tm_dynamodb_options *to,
                                    char problem[256]);

#endif
