// Two writers push to one list, through the real service over a store in memory: in every
// interleaving of their pushes, with every placing of up to F faults: the request lost, the
// answer lost (and so sent again), the request delivered twice, one of long ago delivered
// again, the server started anew. Each of them ends with the same bytes, which the model
// gives; every operation is in the log once; and an operation that is sent again gets the
// seq it had.
//
// SEMANTICS 5, 10; promises 1 and 4 of DESIGN 6.
//
//   ledger [share|whole]
#include "cmd/tree.h"
#include "proof.h"
#include "service/service.h"
#include "store/memory.h"

#define OPS_EACH  3
#define STEPS_MAX 24

typedef enum fate {
    FATE_FINE,
    FATE_REQUEST_LOST,
    FATE_ANSWER_LOST,
    FATE_TWICE,   // the same request arrives twice
    FATE_OLD,     // before it, the writer's first request of all arrives again
    FATE_RESTART, // before it, the server starts anew from what is stored
    FATES
} fate;

static const char *const fate_words[] = {
    "",       " request lost",           " answer lost",
    " twice", " after an old one again", " after a restart"};

typedef struct writer {
    const model_op *ops;
    uint64_t seqs[OPS_EACH];  // 0 = not acked yet
    uint64_t known[OPS_EACH]; // the seq the server ever said, heard or not
    size_t acked;
} writer;

typedef struct step {
    int writer, count; // how many operations the push carries
    fate fate;
} step;

typedef struct proof {
    proof_clock clock;
    proof_pool pool;
    tm_alloc alloc;
    tm_store *store;
    tm_service *service;
    tm_now now;
    tm_buf answer;
    uint64_t status, replies;
    writer writers[2];
    step path[STEPS_MAX];
    int steps, pushes_max;
    uint64_t histories, pushes;
    char want[4096];
} proof;

// ---- the server -----------------------------------------------------------------------

static void fill(void *context, uint8_t *bytes, size_t len) {
    (void)context;
    memset(bytes, 7, len);
}

static void start(proof *p) {
    tm_service_config config = {
        .alloc = &p->alloc, .store = p->store, .random = fill, .snapshot_ops = 2};
    TM_ASSERT(tm_service_new(&config, &p->service) == TM_OK);
}

static void run(proof *p) {
    tm_effect effect;
    for (int turns = 0;; turns++) {
        bool any = false;
        TM_ASSERT(turns < 10000);
        while (tm_service_effect(p->service, &effect)) {
            any = true;
            if (effect.kind == TM_EFFECT_REPLY) {
                tm_buf_reset(&p->answer);
                tm_buf_put(&p->answer,
                           (tm_span){effect.frame->bytes, effect.frame->len});
                p->status = effect.status;
                p->replies++;
            }
            if (effect.frame != NULL) tm_frame_release(p->service, effect.frame);
        }
        if (tm_store_poll(p->store) == 0 && !any) return;
    }
}

static void restart(proof *p) {
    run(p);
    TM_ASSERT(tm_service_idle(p->service));
    tm_service_free(p->service);
    start(p);
}

// ---- pushing --------------------------------------------------------------------------

static void op_write(tm_buf *out, const model_op *from, int who, size_t number) {
    char id[16];
    tm_op op = proof_op(from);
    (void)snprintf(id, sizeof id, "%c%zu", 'a' + who, number);
    op.id = (tm_span){(const uint8_t *)id, strlen(id)};
    tm_op_write(out, &op);
}

static void request(proof *p, int who, size_t from, size_t count) {
    uint64_t ticket, before = p->replies;
    tm_buf body = {.alloc = &p->alloc};
    tm_buf_text(&body, "{\"user\":\"ann\",\"operations\":[");
    for (size_t i = from; i < from + count; i++) {
        if (i > from) tm_buf_byte(&body, ',');
        op_write(&body, &p->writers[who].ops[i], who, i);
    }
    tm_buf_text(&body, "]}");
    tm_request ask = {.method = TM_POST,
                      .path = proof_span(proof_text("/v1/lists/l/operations")),
                      .body = tm_buf_span(&body),
                      .user = proof_span(proof_text("ann")),
                      .peer = p};
    p->now.wall_ms += 10;
    p->now.mono_ms += 10;
    tm_service_request(p->service, p->now, &ask, &ticket);
    run(p);
    TM_ASSERT(p->replies == before + 1 && p->status == 200);
    p->pushes++;
}

// The answer's acks: of operations `from` on, all of them, each ok or a duplicate with the
// seq it had before.
static void acks_check(proof *p, int number, size_t from, size_t count,
                       bool heard) {
    writer *w = &p->writers[number];
    tm_arena arena = {.alloc = &p->alloc};
    const tm_node *root, *ack;
    TM_ASSERT(tm_tree_read(tm_buf_span(&p->answer), &arena, &root, NULL) == TM_OK);
    TM_ASSERT(tm_node_get(root, "stop") == NULL);
    const tm_node *acks = tm_node_get(root, "acks");
    TM_ASSERT(tm_node_is(acks, TM_JSON_ARRAY) && acks->count == count);
    ack = acks->first;
    for (size_t i = from; i < from + count; i++, ack = ack->next) {
        uint64_t seq;
        TM_ASSERT(tm_node_u64(tm_node_get(ack, "seq"), &seq));
        bool again = w->known[i] != 0;
        TM_ASSERT(
            tm_node_says(tm_node_get(ack, "status"), again ? "duplicate" : "ok"));
        TM_ASSERT(!again || w->known[i] == seq);
        w->known[i] = seq;
        if (heard) w->seqs[i] = seq;
    }
    if (heard && w->acked < from + count) w->acked = from + count;
}

static void step_do(proof *p, const step *one) {
    writer *w = &p->writers[one->writer];
    size_t from = w->acked, count = (size_t)one->count;
    if (one->fate == FATE_RESTART) restart(p);
    if (one->fate == FATE_REQUEST_LOST) return;
    if (one->fate == FATE_OLD) {
        request(p, one->writer, 0, 1);
        acks_check(p, one->writer, 0, 1, false);
    }
    request(p, one->writer, from, count);
    bool heard = one->fate != FATE_ANSWER_LOST;
    acks_check(p, one->writer, from, count, heard && one->fate != FATE_TWICE);
    if (one->fate != FATE_TWICE) return;
    request(p, one->writer, from, count);
    acks_check(p, one->writer, from, count, true);
}

// ---- one history ----------------------------------------------------------------------

static proof the_proof;

static void story(void) {
    const proof *p = &the_proof;
    for (int i = 0; i < p->steps; i++) {
        printf("#   %c pushes %d%s\n", 'a' + p->path[i].writer, p->path[i].count,
               fate_words[p->path[i].fate]);
    }
    for (int w = 0; w < 2; w++) {
        for (size_t i = 0; i < OPS_EACH; i++) {
            proof_say_op(stdout, &p->writers[w].ops[i]);
        }
    }
}

static void complain(const proof *p, const char *what, tm_span got) {
    printf("# is   %.*s\n# want %s\n", (int)got.len, (const char *)got.ptr,
           p->want);
    tm_panic(__FILE__, __LINE__, what);
}

static void end_check(proof *p) {
    uint64_t head = 0, seen = 0;
    tm_key key = {proof_span(proof_text("ann")), proof_span(proof_text("l"))};
    tm_buf out = {.alloc = &p->alloc};
    const tm_list *list = tm_service_list(p->service, key, &head);
    TM_ASSERT(list != NULL);
    tm_list_write(list, &out);
    if (out.len != strlen(p->want) || memcmp(out.ptr, p->want, out.len) != 0) {
        complain(p, "another state", tm_buf_span(&out));
    }
    for (int w = 0; w < 2; w++) { // every seq from 1 to the head is one operation's
        for (size_t i = 0; i < OPS_EACH; i++) {
            uint64_t seq = p->writers[w].known[i];
            if (seq < 1 || seq > head || (seen >> seq & 1) == 1) {
                complain(p, "a seq twice, or none", tm_buf_span(&out));
            }
            seen |= UINT64_C(1) << seq;
        }
    }
    if (head != 2 * OPS_EACH) complain(p, "another head", tm_buf_span(&out));
}

static void history_check(proof *p) {
    p->pool.used = 0;
    p->answer = (tm_buf){.alloc = &p->alloc};
    p->now = (tm_now){1790000000000, 1000};
    TM_ASSERT(tm_memory_open(&p->alloc, &p->store) == TM_OK);
    start(p);
    for (int w = 0; w < 2; w++) {
        const model_op *own = p->writers[w].ops;
        p->writers[w] = (writer){.ops = own};
    }
    for (int i = 0; i < p->steps; i++) {
        step_do(p, &p->path[i]);
    }
    end_check(p);
    restart(p); // and it is all in the store
    request(p, 0, OPS_EACH - 1, 1);
    acks_check(p, 0, OPS_EACH - 1, 1, true);
    end_check(p);
    run(p);
    tm_service_free(p->service);
    tm_store_close(p->store);
    p->histories++;
}

// ---- all of them ------------------------------------------------------------------------

// left: operations that each writer has not been acked yet. A push carries one, or all.
static void paths(proof *p, int left_a, int left_b, int faults) {
    int left[2] = {left_a, left_b};
    if (left_a + left_b == 0) {
        history_check(p);
        return;
    }
    TM_ASSERT(p->steps < STEPS_MAX);
    for (int w = 0; w < 2; w++) {
        for (int count = 1; count <= left[w];
             count += left[w] > 1 ? left[w] - 1 : 1) {
            for (int f = 0; f < FATES; f++) {
                if (f != FATE_FINE && faults == 0) break;
                if (f == FATE_OLD && left[w] == OPS_EACH) continue; // there is none
                bool acked = f != FATE_REQUEST_LOST && f != FATE_ANSWER_LOST;
                p->path[p->steps++] = (step){w, count, (fate)f};
                paths(p, left_a - (w == 0 && acked ? count : 0),
                      left_b - (w == 1 && acked ? count : 0),
                      faults - (f != FATE_FINE));
                p->steps--;
            }
        }
    }
}

#define STAMP(ms, browser, n)                                                      \
    { ms, 0, {browser, 1}, n }
#define TEXT(text)                                                                 \
    { text, sizeof text - 1 }

// The stamps of two writers tie in time; values meet in one field, an item is added twice
// and deleted while it is edited.
static const model_op scripts[][OPS_EACH] = {
    {{.type = MODEL_ADD,
      .at = STAMP(5, "a", 1),
      .instance = TEXT("i"),
      .image = TEXT("m")},
     {.type = MODEL_UPDATE,
      .at = STAMP(6, "a", 2),
      .instance = TEXT("i"),
      .field_count = 1,
      .fields = {{TEXT("d"), TEXT("v")}}},
     {.type = MODEL_SORT, .at = STAMP(7, "a", 3), .sort = TEXT("desc")}},
    {{.type = MODEL_UPDATE,
      .at = STAMP(5, "a", 1),
      .instance = TEXT("j"),
      .field_count = 1,
      .fields = {{TEXT("d"), TEXT("v")}}},
     {.type = MODEL_ADD,
      .at = STAMP(6, "a", 2),
      .instance = TEXT("j"),
      .image = TEXT("m")},
     {.type = MODEL_DELETE, .at = STAMP(7, "a", 3), .instance = TEXT("i")}},
    {{.type = MODEL_ADD,
      .at = STAMP(5, "b", 1),
      .instance = TEXT("i"),
      .image = TEXT("n")},
     {.type = MODEL_UPDATE,
      .at = STAMP(6, "b", 2),
      .instance = TEXT("i"),
      .field_count = 2,
      .fields = {{TEXT("d"), {NULL, 0}}, {TEXT("p"), TEXT("w")}}},
     {.type = MODEL_SORT, .at = STAMP(7, "b", 3), .sort = TEXT("asc")}},
    {{.type = MODEL_DELETE, .at = STAMP(5, "b", 1), .instance = TEXT("i")},
     {.type = MODEL_ADD,
      .at = STAMP(6, "b", 2),
      .instance = TEXT("j"),
      .image = TEXT("n")},
     {.type = MODEL_UPDATE,
      .at = STAMP(8, "b", 3),
      .instance = TEXT("j"),
      .field_count = 1,
      .fields = {{TEXT("d"), TEXT("w")}}}},
};

static void pair_check(proof *p, int a, int b, int faults) {
    static model_state state;
    memset(&state, 0, sizeof state);
    p->writers[0].ops = scripts[a];
    p->writers[1].ops = scripts[b];
    for (int w = 0; w < 2; w++) {
        for (size_t i = 0; i < OPS_EACH; i++) {
            model_apply(&state, &p->writers[w].ops[i]);
        }
    }
    model_canonical(&state, p->want, sizeof p->want);
    uint64_t before = p->histories;
    paths(p, OPS_EACH, OPS_EACH, faults);
    printf("ok - ledger: %" PRIu64
           " histories of scripts %d and %d, up to %d faults\n",
           p->histories - before, a, b, faults);
    (void)fflush(stdout);
}

int main(int argc, char **argv) {
    proof *p = &the_proof;
    proof_story = story;
    proof_begin(&p->clock, argc, argv);
    p->alloc = (tm_alloc){proof_resize, &p->pool};
    for (int a = 0; a < 2; a++) {
        for (int b = 2; b < 4; b++) {
            pair_check(p, a, b, p->clock.whole ? 3 : 1);
        }
    }
    if (!p->clock.whole) pair_check(p, 0, 2, 2);
    printf("# %" PRIu64 " histories, %" PRIu64 " pushes, %.1f s\n", p->histories,
           p->pushes, proof_since(&p->clock.began));
    return 0;
}
