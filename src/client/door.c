// door.c - see door.h.
#include "client/door.h"

#include "client/words.h"

#include <string.h>

// What the door holds between two calls. One page, one thread.
static struct {
    tm_engine **engines; // by number - 1, freed ones NULL; none in a browser
    size_t count;
    tm_buf in, out; // texts that come, and those that are made here
    tm_span shown;  // what tm_door_out shows
    size_t at;      // of the next text in `in`
    tm_send send;   // taken last
} door;

// ---- where engines are ----------------------------------------------------------------

#if TM_BROWSER

// The host is the page's own script: what it says is what it was given.
static tm_engine *engine_of(int32_t number) {
    return (tm_engine *)(uintptr_t)number;
}

static int32_t engine_number(tm_engine *engine) {
    return (int32_t)(uintptr_t)engine;
}

#else

// The C library's. Declared here, since this room includes none of its headers.
void *realloc(void *ptr, size_t size);
void free(void *ptr);

static void *libc_resize(void *context, void *ptr, size_t old_size,
                         size_t new_size) {
    (void)context, (void)old_size;
    if (new_size > 0) return realloc(ptr, new_size);
    free(ptr);
    return NULL;
}

const tm_alloc *tm_door_alloc(void) {
    static const tm_alloc libc = {libc_resize, NULL};
    return &libc;
}

static tm_engine *engine_of(int32_t number) {
    if (number < 1 || (size_t)number > door.count) return NULL;
    return door.engines[number - 1];
}

static int32_t engine_number(tm_engine *engine) {
    size_t i = 0;
    while (i < door.count && door.engines[i] != NULL) {
        i++;
    }
    if (i == door.count) {
        size_t size = i * sizeof *door.engines;
        tm_engine **engines = tm_alloc_resize(tm_door_alloc(), door.engines, size,
                                              size + sizeof *door.engines);
        if (engines == NULL) {
            tm_engine_free(engine);
            return tm_refused();
        }
        door.engines = engines;
        door.count++;
    }
    door.engines[i] = engine;
    return (int32_t)(i + 1);
}

void tm_door_free(int32_t engine) {
    tm_engine *e = engine_of(engine);
    if (e == NULL) return;
    tm_engine_free(e);
    door.engines[engine - 1] = NULL;
    door.shown = (tm_span){NULL, 0};
}

#endif

static tm_engine *enter(int32_t engine) {
    door.at = 0;
    door.shown = (tm_span){NULL, 0};
    return engine_of(engine);
}

static tm_span next(uint32_t len) {
    if (len > door.in.cap - door.at) len = (uint32_t)(door.in.cap - door.at);
    tm_span text = {door.in.ptr + door.at, len};
    door.at += len;
    return text;
}

static tm_now now(uint64_t wall_ms, uint64_t mono_ms) {
    return (tm_now){wall_ms, mono_ms};
}

uint8_t *TM_DOOR(tm_door_in)(uint32_t len) {
    door.in.alloc = door.out.alloc = tm_door_alloc();
    tm_buf_reset(&door.in);
    return tm_buf_reserve(&door.in, len);
}

const uint8_t *TM_DOOR(tm_door_out)(void) {
    return door.shown.ptr;
}

uint32_t TM_DOOR(tm_door_out_len)(void) {
    return (uint32_t)door.shown.len;
}

int32_t TM_DOOR(tm_door_new)(uint32_t user_len, uint32_t list_len,
                             uint32_t manual) {
    tm_engine *engine;
    door.at = 0;
    door.shown = (tm_span){NULL, 0};
    tm_engine_config config = {.alloc = tm_door_alloc(), .manual = manual != 0};
    config.user = next(user_len);
    config.list = next(list_len);
    tm_span seed = next(sizeof config.seed);
    if (seed.len != sizeof config.seed) return TM_E_RANGE;
    memcpy(config.seed, seed.ptr, sizeof config.seed);
    tm_status status = tm_engine_new(&config, &engine);
    return status == TM_OK ? engine_number(engine) : status;
}

#define ENTER(engine)                                                              \
    tm_engine *e = enter(engine);                                                  \
    if (e == NULL) return TM_E_RANGE

int32_t TM_DOOR(tm_door_load)(int32_t engine, uint32_t place, uint32_t key_len,
                              uint32_t value_len) {
    ENTER(engine);
    tm_span key = next(key_len);
    return tm_engine_load(e, (tm_place)place, key, next(value_len));
}

int32_t TM_DOOR(tm_door_adopt)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                               uint32_t browser_len) {
    ENTER(engine);
    return tm_engine_adopt(e, now(wall_ms, mono_ms), next(browser_len));
}

int32_t TM_DOOR(tm_door_start)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                               uint32_t fresh_len, uint32_t flags) {
    ENTER(engine);
    return tm_engine_start(e, now(wall_ms, mono_ms), next(fresh_len), flags);
}

int32_t TM_DOOR(tm_door_reloaded)(int32_t engine, uint64_t wall_ms,
                                  uint64_t mono_ms) {
    ENTER(engine);
    return tm_engine_reloaded(e, now(wall_ms, mono_ms));
}

// ---- editing ------------------------------------------------------------------------

int32_t TM_DOOR(tm_door_edit)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                              uint32_t edit_len) {
    ENTER(engine);
    tm_status status =
        tm_engine_edit(e, now(wall_ms, mono_ms), next(edit_len), &door.shown);
    if (status == TM_E_CORRUPT || status == TM_E_RANGE) {
        door.shown = tm_engine_problem(e);
    }
    return status;
}

int32_t TM_DOOR(tm_door_begin)(int32_t engine) {
    ENTER(engine);
    return tm_engine_begin(e);
}

int32_t TM_DOOR(tm_door_end)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                             uint32_t keep) {
    ENTER(engine);
    return tm_engine_end(e, now(wall_ms, mono_ms), keep != 0);
}

int32_t TM_DOOR(tm_door_written)(int32_t engine) {
    ENTER(engine);
    return (int32_t)tm_engine_written(e);
}

int32_t TM_DOOR(tm_door_kept)(int32_t engine, uint32_t key_len, uint32_t kept) {
    ENTER(engine);
    tm_engine_kept(e, next(key_len), kept != 0);
    return TM_OK;
}

int32_t TM_DOOR(tm_door_committed)(int32_t engine, uint64_t wall_ms,
                                   uint64_t mono_ms, uint64_t ticket,
                                   uint32_t outcome, uint64_t cursor) {
    ENTER(engine);
    tm_engine_committed(e, now(wall_ms, mono_ms), ticket, (tm_committed)outcome,
                        cursor);
    return TM_OK;
}

// ---- talking ------------------------------------------------------------------------

int32_t TM_DOOR(tm_door_channel)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                                 uint32_t channel) {
    ENTER(engine);
    tm_engine_channel(e, now(wall_ms, mono_ms), (tm_channel)channel);
    return TM_OK;
}

int32_t TM_DOOR(tm_door_visible)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                                 uint32_t visible) {
    ENTER(engine);
    tm_engine_visible(e, now(wall_ms, mono_ms), visible != 0);
    return TM_OK;
}

int32_t TM_DOOR(tm_door_ask)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                             uint32_t asks) {
    ENTER(engine);
    tm_engine_ask(e, now(wall_ms, mono_ms), asks);
    return TM_OK;
}

int32_t TM_DOOR(tm_door_take)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms) {
    ENTER(engine);
    door.send = tm_engine_take(e, now(wall_ms, mono_ms));
    door.shown = door.send.bytes;
    return (int32_t)door.send.kind;
}

uint64_t TM_DOOR(tm_door_ref)(int32_t engine) {
    (void)engine;
    return door.send.ref;
}

uint32_t TM_DOOR(tm_door_timeout)(int32_t engine) {
    (void)engine;
    return door.send.timeout_ms;
}

int32_t TM_DOOR(tm_door_answer)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                                uint64_t ref, uint32_t http, uint32_t body_len) {
    ENTER(engine);
    tm_engine_answer(e, now(wall_ms, mono_ms), ref, http, next(body_len));
    return TM_OK;
}

int32_t TM_DOOR(tm_door_feed)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                              uint32_t frame_len) {
    ENTER(engine);
    tm_engine_feed(e, now(wall_ms, mono_ms), next(frame_len));
    return TM_OK;
}

int32_t TM_DOOR(tm_door_authorized)(int32_t engine, uint64_t wall_ms,
                                    uint64_t mono_ms) {
    ENTER(engine);
    tm_engine_authorized(e, now(wall_ms, mono_ms));
    return TM_OK;
}

uint64_t TM_DOOR(tm_door_deadline)(int32_t engine) {
    const tm_engine *e = enter(engine);
    return e != NULL ? tm_engine_deadline(e) : UINT64_MAX;
}

int32_t TM_DOOR(tm_door_tick)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms) {
    ENTER(engine);
    tm_engine_tick(e, now(wall_ms, mono_ms));
    return TM_OK;
}

// ---- events -------------------------------------------------------------------------

static void length_put(tm_buf *out, size_t len) {
    for (int i = 0; i < 32; i += 8) {
        tm_buf_byte(out, (uint8_t)(len >> i));
    }
}

static void text_put(tm_buf *out, tm_word word, tm_span text) {
    if (text.ptr != NULL) tm_out_text(out, word, text);
}

static void event_write(tm_buf *out, const tm_event *event) {
    if (event->kind == TM_EVENT_KEEP) {
        length_put(out, event->key.len);
        length_put(out, event->value.len);
        tm_buf_put(out, event->key);
        tm_buf_put(out, event->value);
        return;
    }
    tm_buf_byte(out, '{');
    text_put(out, TM_WORD_KEY, event->key);
    if (event->kind == TM_EVENT_COMMIT) {
        tm_out_number(out, TM_WORD_TICKET, event->ticket);
        tm_out_word(out, TM_WORD_VALUE);
        tm_buf_put(out, event->value);
    } else {
        text_put(out, TM_WORD_VALUE, event->value);
    }
    if (event->kind == TM_EVENT_RECEIPT) {
        tm_out_number(out, TM_WORD_RECEIPT, event->receipt);
    }
    text_put(out, TM_WORD_INSTANCE, event->instance);
    if (event->kind == TM_EVENT_SUPERSEDED) {
        tm_out_text(out, TM_WORD_FIELD, event->field);
        tm_out_text(out, TM_WORD_MINE, event->mine);
        tm_out_text(out, TM_WORD_WINNER, event->winner);
    }
    tm_buf_byte(out, '}');
}

int32_t TM_DOOR(tm_door_event)(int32_t engine) {
    ENTER(engine);
    tm_event event;
    if (!tm_engine_event(e, &event)) return TM_EVENT_NONE;
    tm_buf_reset(&door.out);
    event_write(&door.out, &event);
    door.shown = tm_buf_span(&door.out);
    tm_status status = tm_buf_status(&door.out);
    return status == TM_OK ? (int32_t)event.kind : status;
}

// ---- reading ------------------------------------------------------------------------

int32_t TM_DOOR(tm_door_item)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                              uint32_t id_len) {
    ENTER(engine);
    return tm_engine_item(e, now(wall_ms, mono_ms), next(id_len), &door.shown);
}

int32_t TM_DOOR(tm_door_order)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms) {
    ENTER(engine);
    return tm_engine_order(e, now(wall_ms, mono_ms), &door.shown);
}

int32_t TM_DOOR(tm_door_sort)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms) {
    ENTER(engine);
    door.shown = tm_engine_sort(e, now(wall_ms, mono_ms));
    return TM_OK;
}

int32_t TM_DOOR(tm_door_status)(int32_t engine, uint64_t wall_ms,
                                uint64_t mono_ms) {
    ENTER(engine);
    return tm_engine_status(e, now(wall_ms, mono_ms), &door.shown);
}

int32_t TM_DOOR(tm_door_dead)(int32_t engine) {
    ENTER(engine);
    return tm_engine_dead(e, &door.shown);
}

int32_t TM_DOOR(tm_door_retry)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                               uint32_t id_len) {
    ENTER(engine);
    return tm_engine_retry(e, now(wall_ms, mono_ms), next(id_len));
}

int32_t TM_DOOR(tm_door_discard)(int32_t engine, uint64_t wall_ms, uint64_t mono_ms,
                                 uint32_t id_len) {
    ENTER(engine);
    return tm_engine_discard(e, now(wall_ms, mono_ms), next(id_len));
}

int32_t TM_DOOR(tm_door_confirmed)(int32_t engine) {
    ENTER(engine);
    uint64_t cursor;
    tm_buf_reset(&door.out);
    tm_list_write(tm_engine_confirmed(e, &cursor), &door.out);
    door.shown = tm_buf_span(&door.out);
    return tm_buf_status(&door.out);
}

uint64_t TM_DOOR(tm_door_cursor)(int32_t engine) {
    const tm_engine *e = enter(engine);
    uint64_t cursor = 0;
    if (e != NULL) (void)tm_engine_confirmed(e, &cursor);
    return cursor;
}
