// check_door.c - see check_door.h.
#include "cmd/check_door.h"

#include <stdlib.h>
#include <string.h>

#define I(n) ((int32_t)(uint32_t)args[n])
#define U(n) ((uint32_t)args[n])
#define W(n) (args[n])

static int64_t native_run(tm_check_fn call, const uint64_t *args) {
    switch (call) {
    case TM_FN_new:
        return tm_door_new(U(0), U(1), U(2));
    case TM_FN_free:
        tm_door_free(I(0));
        return 0;
    case TM_FN_load:
        return tm_door_load(I(0), U(1), U(2), U(3));
    case TM_FN_adopt:
        return tm_door_adopt(I(0), W(1), W(2), U(3));
    case TM_FN_start:
        return tm_door_start(I(0), W(1), W(2), U(3), U(4));
    case TM_FN_reloaded:
        return tm_door_reloaded(I(0), W(1), W(2));
    case TM_FN_edit:
        return tm_door_edit(I(0), W(1), W(2), U(3));
    case TM_FN_written:
        return tm_door_written(I(0));
    case TM_FN_kept:
        return tm_door_kept(I(0), U(1), U(2));
    case TM_FN_committed:
        return tm_door_committed(I(0), W(1), W(2), W(3), U(4), W(5));
    case TM_FN_channel:
        return tm_door_channel(I(0), W(1), W(2), U(3));
    case TM_FN_ask:
        return tm_door_ask(I(0), W(1), W(2), U(3));
    case TM_FN_take:
        return tm_door_take(I(0), W(1), W(2));
    case TM_FN_ref:
        return (int64_t)tm_door_ref(I(0));
    case TM_FN_answer:
        return tm_door_answer(I(0), W(1), W(2), W(3), U(4), U(5));
    case TM_FN_feed:
        return tm_door_feed(I(0), W(1), W(2), U(3));
    case TM_FN_deadline:
        return (int64_t)tm_door_deadline(I(0));
    case TM_FN_tick:
        return tm_door_tick(I(0), W(1), W(2));
    case TM_FN_event:
        return tm_door_event(I(0));
    case TM_FN_item:
        return tm_door_item(I(0), W(1), W(2), U(3));
    case TM_FN_order:
        return tm_door_order(I(0), W(1), W(2));
    case TM_FN_sort:
        return tm_door_sort(I(0), W(1), W(2));
    case TM_FN_status:
        return tm_door_status(I(0), W(1), W(2));
    case TM_FN_confirmed:
        return tm_door_confirmed(I(0));
    case TM_FN_cursor:
        return (int64_t)tm_door_cursor(I(0));
    }
    return TM_E_STATE;
}

static tm_status native_call(tm_check_door *door, tm_check_fn call,
                             const uint64_t *args, tm_span in, bool wants_out,
                             int64_t *result, tm_span *out) {
    (void)door;
    if (in.len > 0) {
        if (in.len > UINT32_MAX) return TM_E_RANGE;
        uint8_t *room = tm_door_in((uint32_t)in.len);
        if (room == NULL) return TM_E_NOMEM;
        memcpy(room, in.ptr, in.len);
    }
    int64_t given = native_run(call, args);
    if (result == NULL) return given < 0 ? TM_E_STATE : TM_OK;
    *result = given;
    if (wants_out) *out = (tm_span){tm_door_out(), tm_door_out_len()};
    return TM_OK;
}

static void native_close(tm_check_door *door) {
    free(door);
}

tm_status tm_check_native(tm_check_door **door) {
    tm_check_door *made = calloc(1, sizeof *made);
    if (made == NULL) return TM_E_NOMEM;
    made->call = native_call;
    made->close = native_close;
    *door = made;
    return TM_OK;
}

void tm_check_door_close(tm_check_door *door) {
    if (door != NULL) door->close(door);
}

tm_status tm_check_call(tm_check_door *door, tm_check_fn call, const uint64_t *args,
                        tm_span in, int64_t *result, tm_span *out) {
    tm_span ignored;
    return door->call(door, call, args, in, out != NULL, result,
                      out != NULL ? out : &ignored);
}

const char *tm_check_problem(const tm_check_door *door) {
    return door->problem;
}
