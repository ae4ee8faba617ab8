// simulate_scenario.c - see simulate_scenario.h: the case, and what it must come to.
#include "cmd/simulate_scenario.h"

#include <stdlib.h>
#include <string.h>

#include "cmd/host.h"
#include "core/limits.h"
#include "sim/plain.h"
#include "sim/plan.h"

#define PAGES_MAX TM_SIM_PROFILES_MAX
#define START_MS  UINT64_C(1790000000000)
#define WINDOW_MS 11000u // longer than any of SEMANTICS 7

// ---- the plain world ----------------------------------------------------------------------

typedef struct op {
    const tm_simulate_move *move;
    uint64_t time;
    uint32_t page;
    uint32_t queued, known; // by which pages, one bit each; known: for certain
    uint32_t logical;       // of those of one ms
    bool logged, saved;     // saved: in the backup
    bool refused;           // for good
} op;

typedef struct story {
    tm_simulate_way way;
    tm_buf *out;
    bool first; // no step is written yet
    bool exists[PAGES_MAX], running[PAGES_MAX];
    int64_t clock[PAGES_MAX], server_clock;
    uint64_t now_ms;
    bool backed_up, restored;
    uint64_t letters[PAGES_MAX]; // dead ones
    uint8_t *flown;              // of each move: it was made in a push
    bool
        refused; // somebody was, and a server that ends may forget that: a gap, a fork
    bool unsure; // what a push brings about: a fork may stop it; offers come along
    const tm_simulate_move *moves;
    size_t move_count;
    op *ops;
    size_t count;
} story;

// Whether it has the run's clocks, and an order of its own.
static bool clocks(const story *s) {
    return s->way == TM_SIMULATE_WAY_CLOCKS || s->way == TM_SIMULATE_WAY_ONE;
}

static uint32_t bit(uint32_t page) {
    return UINT32_C(1) << page;
}

static void page_write(tm_buf *out, uint32_t page) {
    tm_buf_byte(out, '"');
    tm_buf_byte(out, (uint8_t)('A' + page));
    tm_buf_byte(out, '"');
}

static void step_begin(story *s, const char *word) {
    tm_buf_text(s->out, s->first ? "\n  {\"do\":\"" : ",\n  {\"do\":\"");
    tm_buf_text(s->out, word);
    tm_buf_byte(s->out, '"');
    s->first = false;
}

static void step_at(story *s, const char *word, uint32_t page) {
    step_begin(s, word);
    tm_buf_text(s->out, ",\"at\":");
    page_write(s->out, page);
}

static void step_bare(story *s, const char *word) {
    step_begin(s, word);
    tm_buf_byte(s->out, '}');
}

static void step_whole(story *s, const char *word, uint32_t page) {
    step_at(s, word, page);
    tm_buf_byte(s->out, '}');
}

static void number_write(tm_buf *out, int64_t number) {
    if (number < 0) tm_buf_byte(out, '-');
    tm_buf_u64(out, (uint64_t)(number < 0 ? -number : number));
}

static void advance(story *s, uint64_t to_ms) {
    if (to_ms <= s->now_ms) return;
    step_begin(s, "advance");
    tm_buf_text(s->out, ",\"ms\":");
    tm_buf_u64(s->out, to_ms - s->now_ms);
    tm_buf_byte(s->out, '}');
    s->now_ms = to_ms;
}

// The first `most` of what its queue holds are in the log now; `heard`: and it knows.
static void commit(story *s, uint32_t page, bool heard, size_t most) {
    for (size_t i = 0; i < s->count && most > 0; i++) {
        if ((s->ops[i].queued & bit(page)) == 0) continue;
        most--;
        s->ops[i].logged = true;
        if (heard) s->ops[i].queued &= ~bit(page);
    }
}

static void learn(story *s, uint32_t page) {
    for (size_t i = 0; i < s->count; i++) {
        if (!s->ops[i].logged) continue;
        s->ops[i].known |= bit(page);
        s->ops[i].queued &= ~bit(page);
    }
}

static size_t queued(const story *s, uint32_t page) {
    size_t count = 0;
    for (size_t i = 0; i < s->count; i++) {
        count += (s->ops[i].queued & bit(page)) != 0;
    }
    return count;
}

static void pull(story *s, uint32_t page) {
    step_whole(s, "pull", page);
    learn(s, page);
}

static void refusals(story *s, uint32_t page) {
    const char *comma = "";
    uint64_t nth = 0;
    tm_buf_text(s->out, ",\"reject\":[");
    for (size_t i = 0; i < s->count; i++) {
        op *o = &s->ops[i];
        if ((o->queued & bit(page)) == 0) continue;
        nth++;
        if (!o->move->refused) continue;
        tm_buf_text(s->out, comma);
        tm_buf_u64(s->out, nth);
        comma = ",";
        o->refused = true;
        o->queued = 0;
        s->letters[page]++;
        s->refused = true;
    }
    tm_buf_byte(s->out, ']');
}

// Whether it is certain what stands where in its next request: nothing is that could have
// been learned to be decided meanwhile.
static bool request_known(const story *s, uint32_t page) {
    if (s->unsure || queued(s, page) > TM_PUSH_OPS_MAX / 2) return false;
    for (size_t i = 0; i < s->count; i++) {
        if ((s->ops[i].queued & bit(page)) != 0 && s->ops[i].logged) return false;
    }
    return true;
}

static bool refusable(const story *s, uint32_t page) {
    if (!request_known(s, page)) return false;
    for (size_t i = 0; i < s->count; i++) {
        if ((s->ops[i].queued & bit(page)) != 0 && s->ops[i].move->refused)
            return true;
    }
    return false;
}

// What is certain of it: a longer queue goes out in several requests, of which the first
// has the fault.
static tm_simulate_fate fate_fit(const story *s, uint32_t page,
                                 const tm_simulate_move *move) {
    tm_simulate_fate fate = move == NULL ? TM_SIMULATE_FATE_FINE : move->fate;
    bool plain = queued(s, page) > TM_PUSH_OPS_MAX / 2 || refusable(s, page);
    if (fate == TM_SIMULATE_FATE_PART &&
        (!request_known(s, page) || queued(s, page) <= (size_t)move->number)) {
        plain = true;
    }
    return plain ? TM_SIMULATE_FATE_FINE : fate;
}

static void edits_fly(story *s, const tm_simulate_move *push, size_t left);

// `move`: NULL = one that has no fault.
static void push(story *s, uint32_t page, const tm_simulate_move *move,
                 size_t left) {
    static const char *const words[] = {"none",
                                        "requestLost",
                                        "responseLost",
                                        "crashBeforeCommit",
                                        "crashAfterCommit",
                                        "responseLost",
                                        "none"};
    tm_simulate_fate fate = fate_fit(s, page, move);
    size_t most = fate == TM_SIMULATE_FATE_PART ? (size_t)move->number : SIZE_MAX;
    bool heard = fate == TM_SIMULATE_FATE_FINE || fate == TM_SIMULATE_FATE_PART;
    bool flies = move != NULL && heard && request_known(s, page) &&
                 queued(s, page) > 0 && !clocks(s);
    bool refuses = fate == TM_SIMULATE_FATE_FINE && refusable(s, page);
    if (flies) advance(s, s->now_ms + 1);
    step_at(s, "push", page);
    tm_buf_text(s->out, ",\"fault\":\"");
    tm_buf_text(s->out, words[fate]);
    tm_buf_byte(s->out, '"');
    if (fate == TM_SIMULATE_FATE_PART) {
        tm_buf_text(s->out, ",\"acceptFirst\":");
        tm_buf_u64(s->out, most);
    }
    if (refuses) refusals(s, page);
    if (fate == TM_SIMULATE_FATE_PART) commit(s, page, true, most);
    if (flies) edits_fly(s, move, left);
    tm_buf_byte(s->out, '}');
    if (fate != TM_SIMULATE_FATE_REQUEST_LOST && fate != TM_SIMULATE_FATE_PART &&
        fate != TM_SIMULATE_FATE_CRASH_BEFORE) {
        commit(s, page, heard, most);
    }
    if (fate == TM_SIMULATE_FATE_CRASH_BEFORE ||
        fate == TM_SIMULATE_FATE_CRASH_AFTER)
        s->unsure = s->unsure || s->refused;
    if (fate != TM_SIMULATE_FATE_DIES) return;
    step_whole(s, "crash", page);
    s->running[page] = false;
}

// ---- edits --------------------------------------------------------------------------------

// The edit of an operation, as the case has it.
static void edit_write(const story *s, const tm_simulate_move *move, size_t nth,
                       tm_buf *out) {
    if (move->kind == TM_SIMULATE_MOVE_SERVER_CRASH) {
        tm_buf_text(out, "{\"type\":\"SORT_CHANGE\",\"sort\":\"asc\"}");
    } else if (s->way == TM_SIMULATE_WAY_ONE) {
        tm_buf_text(out,
                    "{\"type\":\"ADD\",\"instanceId\":\"one\",\"imageId\":\"v");
        tm_buf_u64(out, nth);
        tm_buf_text(out, "\"}");
    } else {
        tm_buf_put(out, move->edit);
    }
}

typedef enum fits { FITS, IS_GONE, IS_UNSURE } fits;

// Whether an edit is made, or the page knows that its item is dead.
static fits edit_fits(const story *s, const tm_simulate_move *move) {
    bool unsure = s->unsure || s->way == TM_SIMULATE_WAY_CHANNEL;
    fits answer = FITS;
    if (move->item.len == 0 || s->way == TM_SIMULATE_WAY_ONE) return FITS;
    for (size_t i = 0; i < s->count; i++) {
        const op *o = &s->ops[i];
        if (!o->move->deletes || tm_span_cmp(o->move->item, move->item) != 0)
            continue;
        bool known = (o->known & bit(move->page)) != 0;
        if (known && (!s->unsure || o->page == move->page)) return IS_GONE;
        if (unsure) answer = IS_UNSURE;
    }
    return answer;
}

static op *op_add(story *s, const tm_simulate_move *move) {
    op *fresh = &s->ops[s->count++];
    *fresh = (op){.move = move,
                  .time = START_MS + s->now_ms,
                  .page = move->page,
                  .queued = bit(move->page),
                  .known = bit(move->page)};
    return fresh;
}

// What the page's author does until the answer is there: up to its next step of another kind.
static void edits_fly(story *s, const tm_simulate_move *push, size_t left) {
    uint32_t logical = 0;
    for (size_t i = 1; i < left; i++) {
        const tm_simulate_move *move = &push[i];
        if (move->page != push->page || move->kind == TM_SIMULATE_MOVE_NONE)
            continue;
        if (move->kind != TM_SIMULATE_MOVE_EDIT || !move->flies) break;
        if (move->refused || edit_fits(s, move) != FITS) break;
        tm_buf_text(s->out, logical == 0 ? ",\"editsInFlight\":[" : ",");
        tm_buf_put(s->out, move->edit);
        op_add(s, move)->logical = logical++;
        s->flown[(size_t)(move - s->moves)] = 1;
    }
    if (logical > 0) tm_buf_byte(s->out, ']');
}

static void edit(story *s, const tm_simulate_move *move) {
    if (clocks(s)) pull(s, move->page);
    fits answer = edit_fits(s, move);
    if (answer == IS_UNSURE)
        return; // what it returns depends on what is not known here
    advance(s, move->at_ms > s->now_ms ? move->at_ms : s->now_ms + 1);
    step_at(s, "edit", move->page);
    tm_buf_text(s->out, ",\"op\":");
    edit_write(s, move, s->count, s->out);
    tm_buf_text(s->out, answer == IS_GONE ? ",\"result\":\"gone\"}" : "}");
    if (answer == IS_GONE) return;
    (void)op_add(s, move);
    if (!clocks(s)) return;
    push(s, move->page, NULL, 0);
    if (s->unsure) push(s, move->page, NULL, 0); // under a new name
}

// ---- the rest -----------------------------------------------------------------------------

static void clone(story *s, uint32_t from, int64_t to) {
    if (to < 0 || to >= PAGES_MAX || !s->exists[from] || s->exists[to]) return;
    step_begin(s, "clone");
    tm_buf_text(s->out, ",\"from\":");
    page_write(s->out, from);
    tm_buf_text(s->out, ",\"to\":");
    page_write(s->out, (uint32_t)to);
    tm_buf_byte(s->out, '}');
    s->exists[to] = s->running[to] = s->unsure = true;
    s->clock[to] = s->clock[from];
    for (size_t i = 0; i < s->count; i++) {
        op *o = &s->ops[i];
        if ((o->queued & bit(from)) != 0) o->queued |= bit((uint32_t)to);
        if ((o->known & bit(from)) != 0) o->known |= bit((uint32_t)to);
    }
}

static int64_t clock_bound(int64_t ms) { // before 1970 there is no time
    int64_t least = -(int64_t)START_MS;
    return ms < least ? least : ms;
}

static void clock_set(story *s, const tm_simulate_move *move) {
    bool server = move->kind == TM_SIMULATE_MOVE_SERVER_CLOCK;
    int64_t *clock = server ? &s->server_clock : &s->clock[move->page];
    int64_t ms = clock_bound(move->number);
    if (!clocks(s) || *clock == ms) return;
    if (server) {
        step_begin(s, "serverClock");
    } else {
        step_at(s, "clock", move->page);
    }
    tm_buf_text(s->out, ",\"offsetMs\":");
    number_write(s->out, ms);
    tm_buf_byte(s->out, '}');
    *clock = ms;
}

static void backup(story *s) {
    step_bare(s, "backup");
    s->backed_up = true;
    for (size_t i = 0; i < s->count; i++) {
        s->ops[i].saved = s->ops[i].logged;
    }
}

static void restore(story *s) {
    // On the channel of a case a page may miss a restore, of which a real one always hears.
    if (!s->backed_up || s->way != TM_SIMULATE_WAY_PULLS) return;
    step_bare(s, "restore");
    s->restored = s->unsure = true;
    for (size_t i = 0; i < s->count; i++) {
        s->ops[i].logged = s->ops[i].saved;
    }
}

static void start(story *s, uint32_t page) {
    step_whole(s, "start", page);
    s->exists[page] = s->running[page] = true;
    // A page on the channel begins by hearing what it missed, unless a case says nothing.
    if (s->way == TM_SIMULATE_WAY_CHANNEL) pull(s, page);
}

// A case can end the server's process in a push alone, so somebody has something to push.
static void server_crash(story *s, const tm_simulate_move *move) {
    uint32_t page = 0;
    while (page < PAGES_MAX && !s->running[page]) {
        page++;
    }
    if (page == PAGES_MAX || clocks(s)) return;
    advance(s, s->now_ms + 1);
    step_at(s, "edit", page);
    tm_buf_text(s->out, ",\"op\":");
    edit_write(s, move, s->count, s->out);
    tm_buf_byte(s->out, '}');
    op *fresh = op_add(s, move);
    fresh->page = page;
    fresh->queued = fresh->known = bit(page);
    step_at(s, "push", page);
    tm_buf_text(s->out, ",\"fault\":\"crashBeforeCommit\"}");
    s->unsure = s->unsure || s->refused;
}

static void move_write(story *s, const tm_simulate_move *move) {
    bool runs = s->running[move->page];
    switch (move->kind) {
    case TM_SIMULATE_MOVE_START:
        if (!runs) start(s, move->page);
        break;
    case TM_SIMULATE_MOVE_CRASH:
        if (runs) step_whole(s, "crash", move->page);
        s->running[move->page] = false;
        break;
    case TM_SIMULATE_MOVE_EDIT:
        if (runs && !s->flown[move - s->moves]) edit(s, move);
        break;
    case TM_SIMULATE_MOVE_PUSH:
        if (runs)
            push(s, move->page, move, s->move_count - (size_t)(move - s->moves));
        break;
    case TM_SIMULATE_MOVE_PULL:
        if (runs) pull(s, move->page);
        break;
    case TM_SIMULATE_MOVE_CLONE:
        clone(s, move->page, move->number);
        break;
    case TM_SIMULATE_MOVE_CLOCK:
        if (s->exists[move->page]) clock_set(s, move);
        break;
    case TM_SIMULATE_MOVE_SERVER_CLOCK:
        clock_set(s, move);
        break;
    case TM_SIMULATE_MOVE_COMPACT:
        step_bare(s, "compact");
        break;
    case TM_SIMULATE_MOVE_SERVER_CRASH:
        server_crash(s, move);
        break;
    case TM_SIMULATE_MOVE_BACKUP:
        backup(s);
        break;
    case TM_SIMULATE_MOVE_RESTORE:
        restore(s);
        break;
    case TM_SIMULATE_MOVE_NONE:
        break;
    }
}

// ---- the case -----------------------------------------------------------------------------

// Those that begin by themselves, and not as another's copy.
static void replicas_write(const tm_simulate_move *moves, size_t count,
                           tm_simulate_way way, bool own[PAGES_MAX], tm_buf *out) {
    bool copy[PAGES_MAX] = {false};
    const char *comma = "";
    tm_buf_text(out, ",\n \"replicas\":[");
    for (size_t i = 0; i < count; i++) {
        const tm_simulate_move *move = &moves[i];
        if (move->kind == TM_SIMULATE_MOVE_CLONE &&
            (own[move->page] || copy[move->page]) && move->number < PAGES_MAX &&
            !own[move->number]) {
            copy[move->number] = true;
        }
        if (move->kind != TM_SIMULATE_MOVE_START || own[move->page] ||
            copy[move->page]) {
            continue;
        }
        own[move->page] = true;
        tm_buf_text(out, comma);
        tm_buf_text(out, "{\"id\":");
        page_write(out, move->page);
        tm_buf_text(out, ",\"browserId\":");
        page_write(out, move->page);
        tm_buf_text(out, way == TM_SIMULATE_WAY_CHANNEL
                             ? ",\"ws\":true,\"started\":false}"
                             : ",\"started\":false}");
        comma = ",";
    }
    tm_buf_byte(out, ']');
}

static void op_apply(const story *s, size_t i, tm_plain *plain) {
    const op *o = &s->ops[i];
    tm_arena arena = {.alloc = &tm_host_alloc};
    tm_buf text = {.alloc = &tm_host_alloc}, edit = {.alloc = &tm_host_alloc};
    tm_json in;
    tm_op read;
    tm_buf_text(&text, "{\"id\":\"op/");
    tm_buf_u64(&text, i + 1);
    tm_buf_text(&text, "\",");
    edit_write(s, o->move, i, &edit);
    tm_buf_put(&text, (tm_span){edit.ptr + 1, edit.len - 2});
    tm_buf_text(&text, ",\"timestamp\":");
    tm_buf_u64(&text, clocks(s) ? i + 1 : o->time);
    tm_buf_text(&text, ",\"logical\":");
    tm_buf_u64(&text, o->logical);
    tm_buf_text(&text, ",\"browserId\":");
    page_write(&text, o->page);
    tm_buf_text(&text, ",\"version\":");
    tm_buf_u64(&text, i + 1);
    tm_buf_byte(&text, '}');
    tm_json_init(&in, tm_buf_span(&text), TM_JSON_DEPTH_MAX, &arena);
    TM_ASSERT(tm_op_read(&in, &read) == TM_OK && read.fault == TM_FAULT_NONE);
    tm_plain_apply(plain, &read);
    tm_buf_deinit(&text);
    tm_buf_deinit(&edit);
    tm_arena_deinit(&arena);
}

// How many operations of whom were refused. After a fork it is not certain whose they are.
static void letters_write(story *s) {
    const char *begin = ",\"deadLetters\":{";
    for (uint32_t page = 0; page < PAGES_MAX; page++) {
        if (s->unsure || s->letters[page] == 0) continue;
        tm_buf_text(s->out, begin);
        page_write(s->out, page);
        tm_buf_byte(s->out, ':');
        tm_buf_u64(s->out, s->letters[page]);
        begin = ",";
    }
    if (begin[1] == '\0') tm_buf_byte(s->out, '}');
}

static void ending_write(story *s) {
    for (uint32_t page = 0; page < PAGES_MAX; page++) {
        if (s->exists[page] && !s->running[page]) start(s, page);
    }
    for (int round = 0; round < (s->restored ? 3 : 2); round++) {
        if (round > 0) advance(s, s->now_ms + WINDOW_MS);
        step_bare(s, "syncAll");
    }
    tm_plain *plain = tm_plain_new();
    size_t accepted = 0;
    for (size_t i = 0; i < s->count; i++) {
        if (!s->ops[i].refused) op_apply(s, i, plain);
        accepted += !s->ops[i].refused;
    }
    tm_buf_text(s->out, "],\n \"expect\":{\"state\":");
    tm_plain_write(plain, s->out);
    if (!s->restored) { // what is offered again is as much as it has to be
        tm_buf_text(s->out, ",\"serverOps\":");
        tm_buf_u64(s->out, accepted);
    }
    letters_write(s);
    tm_buf_byte(s->out, '}');
    tm_plain_free(plain);
}

void tm_simulate_case_head(tm_buf *out, const char *name, const char *covers,
                           const char *kind) {
    tm_buf_text(out, "{\"format\":1,\"cases\":[\n{\"name\":");
    tm_buf_json(out, tm_text(name));
    tm_buf_text(out, ",\"covers\":[\"simulated\",");
    tm_buf_json(out, tm_text(covers));
    tm_buf_text(out, "],\"kind\":");
    tm_buf_json(out, tm_text(kind));
    tm_buf_text(out, ",\"level\":\"extended\"");
}

void tm_simulate_case_tail(tm_buf *out) {
    tm_buf_text(out, "}\n]}\n");
}

void tm_simulate_scenario_write(const tm_simulate_move *moves, size_t count,
                                tm_simulate_way way, const char *name,
                                const char *covers, tm_buf *out) {
    story s = {
        .way = way, .out = out, .first = true, .moves = moves, .move_count = count};
    bool own[PAGES_MAX] = {false};
    s.ops = calloc(count + 1, sizeof *s.ops);
    s.flown = calloc(count + 1, 1);
    TM_ASSERT(s.ops != NULL && s.flown != NULL);
    tm_buf_reset(out);
    tm_simulate_case_head(out, name, covers, "scenario");
    tm_buf_text(out, ",\"start\":");
    tm_buf_u64(out, START_MS);
    replicas_write(moves, count, way, own, out);
    tm_buf_text(out, ",\n \"steps\":[");
    for (size_t i = 0; i < count; i++) {
        const tm_simulate_move *move = &moves[i];
        // A copy of nothing is nobody.
        if (move->kind == TM_SIMULATE_MOVE_START && !own[move->page] &&
            !s.exists[move->page]) {
            continue;
        }
        move_write(&s, move);
    }
    ending_write(&s);
    tm_simulate_case_tail(out);
    free(s.ops);
    free(s.flown);
}
