// thaw.h - a door to the network whose clock goes on while the process is stopped.
//
// Lambda stops a process between two invocations, for minutes or hours, and whether its
// monotonic clock counts that time nobody promises. The store on DynamoDB relies on it:
// a list whose tail was seen more than an hour ago is looked at again before an append,
// and a put of which the answer was lost is not repeated after an hour. So what the wall
// clock has gone ahead of the monotonic one is added to the latter. A wall clock that was
// put forward makes things older than they are, which is safe; one that was put back
// changes nothing.
//
// Knows store/aws_http.h.
#ifndef TM_LAMBDA_THAW_H
#define TM_LAMBDA_THAW_H

#include "store/aws_http.h"

// tm_thaw_open - takes `inner`. gives: tm_http_close.
TM_MUST_USE tm_status tm_thaw_open(const tm_alloc *alloc, tm_http *inner,
                                   tm_http **http);

// tm_thaw_look - the process runs again: compare the clocks. How many ms it was stopped
// for without its monotonic clock.
uint64_t tm_thaw_look(tm_http *http);

#endif
