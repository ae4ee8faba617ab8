// check_case.c - see check_case.h.
#include "cmd/check_case.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/limits.h"

// An edit that is made more often than this is a slip of the pen, and would take a day.
#define TIMES_MAX 100000u

// ---- flaws --------------------------------------------------------------------------

__attribute__((format(printf, 2, 3))) static bool flawed(tm_check_case_flaw *flaw,
                                                         const char *format, ...) {
    va_list values;
    va_start(values, format);
    (void)vsnprintf(flaw->why, sizeof flaw->why, format, values);
    va_end(values);
    return false;
}

// A name from the file, short enough for a message.
#define SHOWN(span)                                                                \
    (int)((span).len > 40 ? 40 : (span).len), (const char *)(span).ptr

// ---- members ------------------------------------------------------------------------

typedef enum member_form {
    FORM_TEXT,
    FORM_PAGE,   // id of a replica
    FORM_BOOL,   //
    FORM_INT,    // may be negative
    FORM_AMOUNT, // from 0
    FORM_NTH,    // from 1
    FORM_TIMES,  // from 1 to TIMES_MAX
    FORM_OP,     // an edit
    FORM_OPS,    // an array of them
    FORM_STATE,  // the public view
    FORM_IDS,    // an array of texts
    FORM_NTHS,   // an array of numbers from 1
    FORM_COUNTS, // an object, replica -> number
    FORM_RESULT, // ok | volatile | gone
    FORM_PUSH_FAULT,
    FORM_PULL_FAULT,
    FORM_KEEP, // an array that holds "browserId" and nothing else
    FORM_ANY,
} member_form;

static bool is_one_of(const tm_node *node, const char *const *words) {
    for (; *words != NULL; words++) {
        if (tm_node_says(node, *words)) return true;
    }
    return false;
}

static bool all_of(const tm_node *node, member_form form, tm_check_case_flaw *flaw);

static bool state_is(const tm_node *node, tm_check_case_flaw *flaw) {
    const tm_node *items = tm_node_get(node, "items");
    if (!tm_node_is(items, TM_JSON_OBJECT)) {
        return flawed(flaw, "a state wants `items`, an object");
    }
    for (const tm_node *item = items->first; item != NULL; item = item->next) {
        if (!tm_node_is(tm_node_get(item, "imageId"), TM_JSON_STRING)) {
            return flawed(flaw, "item \"%.*s\" wants `imageId`, a string",
                          SHOWN(item->key));
        }
        for (const tm_node *field = item->first; field != NULL;
             field = field->next) {
            if (field->kind != TM_JSON_STRING && field->kind != TM_JSON_NULL) {
                return flawed(flaw, "`%.*s` of item \"%.*s\" is not a string",
                              SHOWN(field->key), SHOWN(item->key));
            }
        }
    }
    for (const tm_node *part = node->first; part != NULL; part = part->next) {
        static const char *const sorts[] = {"asc", "desc", NULL};
        if (part == items) continue;
        if (!tm_span_equal_text(part->key, "sort")) {
            return flawed(flaw, "a state has no member `%.*s`", SHOWN(part->key));
        }
        if (!is_one_of(part, sorts)) {
            return flawed(flaw, "`sort` is \"asc\" or \"desc\"");
        }
    }
    return true;
}

static bool op_is(const tm_node *node, tm_check_case_flaw *flaw) {
    if (!tm_node_is(tm_node_get(node, "type"), TM_JSON_STRING)) {
        return flawed(flaw, "an operation wants `type`, a string");
    }
    return true;
}

static bool counts_are(const tm_node *node) {
    uint64_t number;
    if (!tm_node_is(node, TM_JSON_OBJECT)) return false;
    for (const tm_node *one = node->first; one != NULL; one = one->next) {
        if (!tm_node_u64(one, &number)) return false;
    }
    return true;
}

// Whether a value has its form. Says what was wrong unless something deeper did.
static bool form_is(const tm_node *node, member_form form,
                    tm_check_case_flaw *flaw) {
    static const char *const results[] = {"ok", "volatile", "gone", NULL};
    static const char *const push[] = {
        "none",       "requestLost",      "crashBeforeCommit",    "responseLost",
        "duplicated", "crashAfterCommit", "clientCrashBeforeAck", NULL};
    static const char *const pull[] = {"none", "responseLost",
                                       "clientCrashBeforePersist", NULL};
    static const char *const keep[] = {"browserId", NULL};
    uint64_t number;
    int64_t whole;
    switch (form) {
    case FORM_TEXT:
    case FORM_PAGE:
        return tm_node_is(node, TM_JSON_STRING);
    case FORM_BOOL:
        return tm_node_is(node, TM_JSON_BOOL);
    case FORM_INT:
        return tm_node_i64(node, &whole) && whole >= -(int64_t)TM_INT_MAX &&
               whole <= (int64_t)TM_INT_MAX;
    case FORM_AMOUNT:
        return tm_node_u64(node, &number);
    case FORM_NTH:
        return tm_node_u64(node, &number) && number > 0;
    case FORM_TIMES:
        return tm_node_u64(node, &number) && number > 0 && number <= TIMES_MAX;
    case FORM_OP:
        return op_is(node, flaw);
    case FORM_OPS:
        return all_of(node, FORM_OP, flaw);
    case FORM_STATE:
        return state_is(node, flaw);
    case FORM_IDS:
        return all_of(node, FORM_TEXT, flaw);
    case FORM_NTHS:
        return all_of(node, FORM_NTH, flaw);
    case FORM_COUNTS:
        return counts_are(node);
    case FORM_RESULT:
        return is_one_of(node, results);
    case FORM_PUSH_FAULT:
        return is_one_of(node, push);
    case FORM_PULL_FAULT:
        return is_one_of(node, pull);
    case FORM_KEEP:
        return tm_node_is(node, TM_JSON_ARRAY) &&
               (node->count == 0 ||
                (node->count == 1 && is_one_of(node->first, keep)));
    case FORM_ANY:
        return true;
    }
    return false;
}

static bool all_of(const tm_node *node, member_form form,
                   tm_check_case_flaw *flaw) {
    if (!tm_node_is(node, TM_JSON_ARRAY)) return false;
    for (const tm_node *one = node->first; one != NULL; one = one->next) {
        if (!form_is(one, form, flaw)) return false;
    }
    return true;
}

static const char *form_words(member_form form) {
    static const char *const words[] = {
        [FORM_TEXT] = "a string",
        [FORM_PAGE] = "the id of a replica",
        [FORM_BOOL] = "true or false",
        [FORM_INT] = "an integer",
        [FORM_AMOUNT] = "a number from 0 on",
        [FORM_NTH] = "a number from 1 on",
        [FORM_TIMES] = "a number from 1 to 100000",
        [FORM_OP] = "an operation",
        [FORM_OPS] = "an array of operations",
        [FORM_STATE] = "a state",
        [FORM_IDS] = "an array of strings",
        [FORM_NTHS] = "an array of numbers from 1 on",
        [FORM_COUNTS] = "an object of numbers",
        [FORM_RESULT] = "\"ok\", \"volatile\" or \"gone\"",
        [FORM_PUSH_FAULT] = "a fault of a push",
        [FORM_PULL_FAULT] = "a fault of a pull",
        [FORM_KEEP] = "[\"browserId\"]",
        [FORM_ANY] = "anything",
    };
    return words[form];
}

typedef struct member {
    const char *name;
    member_form form;
    bool needed;
} member;

// Whether `node` has what it needs, each in its form; `closed`: and nothing else.
static bool members_are(const tm_node *node, const member *members, bool closed,
                        const char *what, tm_check_case_flaw *flaw) {
    if (!tm_node_is(node, TM_JSON_OBJECT))
        return flawed(flaw, "%s is no object", what);
    for (const member *one = members; one->name != NULL; one++) {
        const tm_node *value = tm_node_get(node, one->name);
        if (value == NULL && !one->needed) continue;
        if (value == NULL) return flawed(flaw, "%s lacks `%s`", what, one->name);
        flaw->why[0] = '\0';
        if (form_is(value, one->form, flaw)) continue;
        if (flaw->why[0] != '\0') return false;
        return flawed(flaw, "`%s` of %s is not %s", one->name, what,
                      form_words(one->form));
    }
    for (const tm_node *value = node->first; closed && value != NULL;
         value = value->next) {
        const member *one = members;
        while (one->name != NULL && !tm_span_equal_text(value->key, one->name)) {
            one++;
        }
        if (one->name == NULL) {
            return flawed(flaw, "%s has no member `%.*s`", what, SHOWN(value->key));
        }
    }
    return true;
}

// ---- steps --------------------------------------------------------------------------

#define AT                                                                         \
    { "at", FORM_PAGE, true }
#define DO                                                                         \
    { "do", FORM_TEXT, true }

static const member edit_members[] = {DO,
                                      AT,
                                      {"op", FORM_OP, true},
                                      {"result", FORM_RESULT, false},
                                      {"times", FORM_TIMES, false},
                                      {0}};
static const member push_members[] = {DO,
                                      AT,
                                      {"fault", FORM_PUSH_FAULT, false},
                                      {"acceptFirst", FORM_AMOUNT, false},
                                      {"reject", FORM_NTHS, false},
                                      {"editsInFlight", FORM_OPS, false},
                                      {0}};
static const member pull_members[] = {
    DO, AT, {"fault", FORM_PULL_FAULT, false}, {0}};
static const member at_members[] = {DO, AT, {0}};
static const member bare_members[] = {DO, {0}};
static const member start_members[] = {
    DO, AT, {"browserId", FORM_TEXT, false}, {0}};
static const member advance_members[] = {DO, {"ms", FORM_AMOUNT, true}, {0}};
static const member clock_members[] = {DO, AT, {"offsetMs", FORM_INT, true}, {0}};
static const member server_clock_members[] = {
    DO, {"offsetMs", FORM_INT, true}, {0}};
static const member drop_members[] = {DO, AT, {"count", FORM_AMOUNT, true}, {0}};
static const member nth_members[] = {DO, AT, {"nth", FORM_NTH, true}, {0}};
static const member wipe_members[] = {DO, AT, {"keep", FORM_KEEP, false}, {0}};
static const member clone_members[] = {
    DO, {"from", FORM_PAGE, true}, {"to", FORM_TEXT, true}, {0}};
static const member quota_members[] = {DO, AT, {"full", FORM_BOOL, true}, {0}};
static const member expect_members[] = {DO,
                                        {"at", FORM_PAGE, false},
                                        {"view", FORM_STATE, false},
                                        {"pending", FORM_AMOUNT, false},
                                        {"deadLetters", FORM_AMOUNT, false},
                                        {"serverOps", FORM_AMOUNT, false},
                                        {"server", FORM_STATE, false},
                                        {0}};

static const struct step_form {
    const char *word;
    const member *members;
} steps[TM_CHECK_DO_COUNT] = {
    [TM_CHECK_DO_EDIT] = {"edit", edit_members},
    [TM_CHECK_DO_PUSH] = {"push", push_members},
    [TM_CHECK_DO_PULL] = {"pull", pull_members},
    [TM_CHECK_DO_SYNC] = {"sync", at_members},
    [TM_CHECK_DO_SYNC_ALL] = {"syncAll", bare_members},
    [TM_CHECK_DO_REFRESH] = {"refresh", at_members},
    [TM_CHECK_DO_CRASH] = {"crash", at_members},
    [TM_CHECK_DO_START] = {"start", start_members},
    [TM_CHECK_DO_OFFLINE] = {"offline", at_members},
    [TM_CHECK_DO_ONLINE] = {"online", at_members},
    [TM_CHECK_DO_ADVANCE] = {"advance", advance_members},
    [TM_CHECK_DO_CLOCK] = {"clock", clock_members},
    [TM_CHECK_DO_SERVER_CLOCK] = {"serverClock", server_clock_members},
    [TM_CHECK_DO_WS_DROP] = {"wsDrop", drop_members},
    [TM_CHECK_DO_REPLAY] = {"replay", nth_members},
    [TM_CHECK_DO_WIPE] = {"wipe", wipe_members},
    [TM_CHECK_DO_CLONE] = {"clone", clone_members},
    [TM_CHECK_DO_QUOTA] = {"quota", quota_members},
    [TM_CHECK_DO_LOSE_QUEUED] = {"loseQueued", nth_members},
    [TM_CHECK_DO_COMPACT] = {"compact", bare_members},
    [TM_CHECK_DO_BACKUP] = {"backup", bare_members},
    [TM_CHECK_DO_RESTORE] = {"restore", bare_members},
    [TM_CHECK_DO_EXPECT] = {"expect", expect_members},
};

tm_check_do tm_check_do_find(const tm_node *word) {
    for (tm_check_do what = 0; what < TM_CHECK_DO_COUNT; what++) {
        if (tm_node_says(word, steps[what].word)) return what;
    }
    return TM_CHECK_DO_COUNT;
}

const char *tm_check_do_word(tm_check_do what) {
    return steps[what].word;
}

// Whether a replica of this name is there: listed, or cloned in a step before `until`.
static bool page_known(const tm_node *one, tm_span id, const tm_node *until) {
    const tm_node *page = tm_node_get(one, "replicas")->first;
    for (; page != NULL; page = page->next) {
        if (tm_span_equal(tm_node_text(tm_node_get(page, "id")), id)) return true;
    }
    const tm_node *step = tm_node_get(one, "steps")->first;
    for (; step != NULL && step != until; step = step->next) {
        if (tm_check_do_find(tm_node_get(step, "do")) == TM_CHECK_DO_CLONE &&
            tm_span_equal(tm_node_text(tm_node_get(step, "to")), id)) {
            return true;
        }
    }
    return false;
}

static bool step_pages_known(const tm_node *one, const tm_node *step,
                             tm_check_case_flaw *flaw) {
    static const char *const members[] = {"at", "from", NULL};
    for (const char *const *name = members; *name != NULL; name++) {
        const tm_node *page = tm_node_get(step, *name);
        if (page != NULL && !page_known(one, page->text, step)) {
            return flawed(flaw, "there is no replica \"%.*s\"", SHOWN(page->text));
        }
    }
    const tm_node *to = tm_node_get(step, "to");
    if (to != NULL && page_known(one, to->text, step)) {
        return flawed(flaw, "there is a replica \"%.*s\" already", SHOWN(to->text));
    }
    bool watches = tm_node_get(step, "view") != NULL ||
                   tm_node_get(step, "pending") != NULL ||
                   tm_node_get(step, "deadLetters") != NULL;
    if (watches && tm_node_get(step, "at") == NULL) {
        return flawed(flaw, "step `expect` lacks `at`");
    }
    return true;
}

static bool step_is(const tm_node *one, const tm_node *step,
                    tm_check_case_flaw *flaw) {
    const tm_node *word = tm_node_get(step, "do");
    if (!tm_node_is(word, TM_JSON_STRING)) {
        return flawed(flaw, "a step wants `do`, a string");
    }
    tm_check_do what = tm_check_do_find(word);
    if (what == TM_CHECK_DO_COUNT) {
        return flawed(flaw, "there is no step `%.*s`", SHOWN(word->text));
    }
    char name[32];
    (void)snprintf(name, sizeof name, "step `%s`", steps[what].word);
    return members_are(step, steps[what].members, true, name, flaw) &&
           step_pages_known(one, step, flaw);
}

// ---- cases --------------------------------------------------------------------------

static const member replica_members[] = {
    {"id", FORM_TEXT, true},          {"browserId", FORM_TEXT, true},
    {"clockOffset", FORM_INT, false}, {"online", FORM_BOOL, false},
    {"ws", FORM_BOOL, false},         {"started", FORM_BOOL, false},
    {"storage", FORM_TEXT, false},    {0}};

static const member merge_members[] = {{"name", FORM_TEXT, true},
                                       {"ops", FORM_OPS, true},
                                       {"expect", FORM_ANY, true},
                                       {0}};
static const member merge_expected[] = {{"state", FORM_STATE, true},
                                        {"order", FORM_IDS, false},
                                        {"tombstones", FORM_IDS, false},
                                        {0}};

static const member scenario_members[] = {{"name", FORM_TEXT, true},
                                          {"start", FORM_AMOUNT, true},
                                          {"initial", FORM_STATE, false},
                                          {"replicas", FORM_ANY, true},
                                          {"steps", FORM_ANY, true},
                                          {"expect", FORM_ANY, true},
                                          {0}};
static const member scenario_expected[] = {{"state", FORM_STATE, true},
                                           {"order", FORM_IDS, false},
                                           {"serverOps", FORM_AMOUNT, false},
                                           {"pending", FORM_COUNTS, false},
                                           {"deadLetters", FORM_COUNTS, false},
                                           {"except", FORM_IDS, false},
                                           {0}};

static bool replicas_are(const tm_node *one, tm_check_case_flaw *flaw) {
    const tm_node *list = tm_node_get(one, "replicas");
    if (!tm_node_is(list, TM_JSON_ARRAY) || list->count == 0) {
        return flawed(flaw, "`replicas` is not an array with replicas");
    }
    for (const tm_node *page = list->first; page != NULL; page = page->next) {
        if (!members_are(page, replica_members, true, "a replica", flaw))
            return false;
        tm_span id = tm_node_get(page, "id")->text;
        for (const tm_node *other = list->first; other != page;
             other = other->next) {
            if (tm_span_equal(tm_node_get(other, "id")->text, id)) {
                return flawed(flaw, "two replicas are called \"%.*s\"", SHOWN(id));
            }
        }
    }
    return true;
}

// Names in the case's `expect` are of replicas, too: else nothing would be compared.
static bool expected_pages_known(const tm_node *one, tm_check_case_flaw *flaw) {
    static const char *const members[] = {"pending", "deadLetters", "except"};
    const tm_node *expect = tm_node_get(one, "expect");
    for (size_t i = 0; i < 3; i++) {
        const tm_node *list = tm_node_get(expect, members[i]);
        const tm_node *name = list == NULL ? NULL : list->first;
        for (; name != NULL; name = name->next) {
            tm_span id = list->kind == TM_JSON_OBJECT ? name->key : name->text;
            if (!page_known(one, id, NULL)) {
                return flawed(flaw,
                              "`%s` of `expect`: there is no replica \"%.*s\"",
                              members[i], SHOWN(id));
            }
        }
    }
    return true;
}

static bool scenario_is(const tm_node *one, tm_check_case_flaw *flaw) {
    if (!members_are(one, scenario_members, false, "the case", flaw)) return false;
    if (!replicas_are(one, flaw)) return false;
    const tm_node *list = tm_node_get(one, "steps");
    if (!tm_node_is(list, TM_JSON_ARRAY))
        return flawed(flaw, "`steps` is not an array");
    for (const tm_node *step = list->first; step != NULL; step = step->next) {
        flaw->step++;
        if (!step_is(one, step, flaw)) return false;
    }
    flaw->step = -1;
    return members_are(tm_node_get(one, "expect"), scenario_expected, true,
                       "`expect`", flaw) &&
           expected_pages_known(one, flaw);
}

bool tm_check_case_judge(const tm_node *one, tm_check_case_flaw *flaw) {
    *flaw = (tm_check_case_flaw){.step = -1};
    if (!tm_node_is(one, TM_JSON_OBJECT))
        return flawed(flaw, "a case is an object");
    if (!tm_node_is(tm_node_get(one, "name"), TM_JSON_STRING)) {
        return flawed(flaw, "the case lacks `name`, a string");
    }
    const tm_node *kind = tm_node_get(one, "kind");
    if (tm_node_says(kind, "scenario")) return scenario_is(one, flaw);
    if (tm_node_says(kind, "merge")) {
        return members_are(one, merge_members, false, "the case", flaw) &&
               members_are(tm_node_get(one, "expect"), merge_expected, true,
                           "`expect`", flaw);
    }
    return flawed(flaw, "`kind` is \"merge\" or \"scenario\"");
}

tm_status tm_check_case_file_read(tm_span text, tm_arena *arena,
                                  const tm_node **first, char problem[256]) {
    const tm_node *root = NULL;
    tm_json_error error = {0};
    tm_status status = tm_tree_read(text, arena, &root, &error);
    if (status == TM_E_CORRUPT) {
        size_t line = 1;
        for (size_t at = 0; at < error.offset && at < text.len; at++) {
            if (text.ptr[at] == '\n') line++;
        }
        (void)snprintf(problem, 256, "line %zu, byte %zu: %s", line, error.offset,
                       error.reason);
        return status;
    }
    if (status != TM_OK) {
        (void)snprintf(problem, 256, "out of memory");
        return status;
    }
    uint64_t format;
    const tm_node *cases = tm_node_get(root, "cases");
    if (!tm_node_u64(tm_node_get(root, "format"), &format)) {
        (void)snprintf(problem, 256,
                       "not a file of cases: it lacks `format`, a number");
        return TM_E_CORRUPT;
    }
    if (format != TM_CHECK_CASE_FORMAT) {
        (void)snprintf(problem, 256,
                       "its format is %" PRIu64 ", this tidemark reads %u", format,
                       TM_CHECK_CASE_FORMAT);
        return TM_E_CORRUPT;
    }
    if (!tm_node_is(cases, TM_JSON_ARRAY)) {
        (void)snprintf(problem, 256,
                       "not a file of cases: it lacks `cases`, an array");
        return TM_E_CORRUPT;
    }
    *first = cases->first;
    return TM_OK;
}
