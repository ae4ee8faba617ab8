// `tidemark check` as a whole: whatever is expected wrongly is found, and said plainly.
#include "program.h"

#include <jansson.h>
#include <sys/stat.h>

static const char *const golden[] = {
    "tests/golden/checklist.json",    "tests/golden/clocks.json",
    "tests/golden/delivery.json",     "tests/golden/identity.json",
    "tests/golden/limits.json",       "tests/golden/merge.json",
    "tests/golden/random-merge.json", "tests/golden/random-scenario.json",
    "tests/golden/restore.json",      "tests/golden/retention.json",
    "tests/golden/windows.json"};

static int make(void **state) {
    (void)state;
    (void)directory_make();
    return 0;
}

static int clear(void **state) {
    (void)state;
    directory_clear();
    return 0;
}

// ---- mutants --------------------------------------------------------------------------

// Cases that were made wrong, each in one place; the checker must find every one.
typedef struct mutants {
    json_t *file, *cases;
    size_t count;
} mutants;

static void mutant_add(mutants *all, json_t *one, const char *what) {
    char name[256];
    const char *was = json_string_value(json_object_get(one, "name"));
    (void)snprintf(name, sizeof name, "%s: %s", was, what);
    T_EQ(json_object_set_new(one, "name", json_string(name)), 0);
    T_EQ(json_array_append_new(all->cases, one), 0);
    all->count++;
}

static void number_spoil(json_t *owner, const char *member) {
    json_t *number = json_object_get(owner, member);
    json_object_set_new(owner, member,
                        json_integer(json_integer_value(number) + 1));
}

// Another state: an item more, or one less.
static void state_spoil(json_t *state) {
    json_t *items = json_object_get(state, "items");
    if (json_object_size(items) > 0) {
        json_object_del(items, json_object_iter_key(json_object_iter(items)));
    } else {
        json_object_set_new(items, "nobody", json_pack("{s:s}", "imageId", "none"));
    }
}

static void sort_spoil(json_t *state) {
    const char *sort = json_string_value(json_object_get(state, "sort"));
    bool is_desc = sort != NULL && strcmp(sort, "desc") == 0;
    json_object_set_new(state, "sort", json_string(is_desc ? "asc" : "desc"));
}

static void steps_spoil(mutants *all, const json_t *one) {
    size_t index, count = json_array_size(json_object_get(one, "steps"));
    for (index = 0; index < count; index++) {
        static const char *const numbers[] = {"pending", "deadLetters",
                                              "serverOps"};
        const json_t *step = json_array_get(json_object_get(one, "steps"), index);
        const char *word = json_string_value(json_object_get(step, "do"));
        bool expects = strcmp(word, "expect") == 0;
        bool edits = strcmp(word, "edit") == 0;
        char what[64];
        for (size_t i = 0; expects && i < COUNT(numbers); i++) {
            if (json_object_get(step, numbers[i]) == NULL) continue;
            json_t *copy = json_deep_copy(one);
            number_spoil(json_array_get(json_object_get(copy, "steps"), index),
                         numbers[i]);
            (void)snprintf(what, sizeof what, "%s at step %zu", numbers[i], index);
            mutant_add(all, copy, what);
        }
        if (expects && json_object_get(step, "view") != NULL) {
            json_t *copy = json_deep_copy(one);
            state_spoil(json_object_get(
                json_array_get(json_object_get(copy, "steps"), index), "view"));
            (void)snprintf(what, sizeof what, "view at step %zu", index);
            mutant_add(all, copy, what);
        }
        if (edits && json_object_get(step, "result") != NULL) {
            json_t *copy = json_deep_copy(one);
            json_object_del(json_array_get(json_object_get(copy, "steps"), index),
                            "result");
            bool ok =
                strcmp(json_string_value(json_object_get(step, "result")), "ok");
            (void)snprintf(what, sizeof what, "result at step %zu", index);
            if (ok) {
                mutant_add(all, copy, what);
            } else {
                json_decref(copy);
            }
        }
    }
}

static void ending_spoil(mutants *all, const json_t *one) {
    static const char *const ids[] = {"order", "tombstones"};
    const json_t *expect = json_object_get(one, "expect");
    json_t *copy = json_deep_copy(one);
    state_spoil(json_object_get(json_object_get(copy, "expect"), "state"));
    mutant_add(all, copy, "state");
    copy = json_deep_copy(one);
    sort_spoil(json_object_get(json_object_get(copy, "expect"), "state"));
    mutant_add(all, copy, "sort");
    for (size_t i = 0; i < COUNT(ids); i++) {
        if (json_object_get(expect, ids[i]) == NULL) continue;
        copy = json_deep_copy(one);
        json_array_append_new(
            json_object_get(json_object_get(copy, "expect"), ids[i]),
            json_string("nobody"));
        mutant_add(all, copy, ids[i]);
    }
    if (json_object_get(expect, "serverOps") != NULL) {
        copy = json_deep_copy(one);
        number_spoil(json_object_get(copy, "expect"), "serverOps");
        mutant_add(all, copy, "serverOps");
    }
    const json_t *replicas = json_object_get(one, "replicas");
    if (replicas == NULL) return;
    const char *first =
        json_string_value(json_object_get(json_array_get(replicas, 0), "id"));
    if (strcmp(json_string_value(json_object_get(one, "name")),
               "two-tabs-both-die-s") == 0) {
        first = "C"; // the others do not run at the end
    }
    copy = json_deep_copy(one);
    json_object_set_new(json_object_get(copy, "expect"), "pending",
                        json_pack("{s:i}", first, 7));
    mutant_add(all, copy, "pending");
    copy = json_deep_copy(one);
    json_object_set_new(json_object_get(copy, "expect"), "deadLetters",
                        json_pack("{s:i}", first, 7));
    mutant_add(all, copy, "deadLetters");
}

static void mutants_make(mutants *all) {
    all->file = json_object();
    all->cases = json_array();
    json_object_set_new(all->file, "format", json_integer(1));
    json_object_set_new(all->file, "cases", all->cases);
    for (size_t i = 0; i < COUNT(golden); i++) {
        json_error_t error;
        size_t index;
        json_t *one, *file = json_load_file(golden[i], JSON_ALLOW_NUL, &error);
        assert_non_null(file);
        json_array_foreach(json_object_get(file, "cases"), index, one) {
            ending_spoil(all, one);
            if (json_object_get(one, "steps") != NULL) steps_spoil(all, one);
        }
        json_decref(file);
    }
    T_EQ(json_dump_file(all->file, path_in("mutants.json"), JSON_COMPACT), 0);
}

static void test_mutants(void **state) {
    mutants all = {0};
    json_error_t error;
    size_t index;
    json_t *one;
    (void)state;
    t_row = "every wrong expectation is found";
    mutants_make(&all);
    T_TRUE(all.count > 900);
    outcome of = program_run("check --json @/mutants.json");
    T_EQ(of.code, 1);
    json_t *said = json_loads(of.text, JSON_ALLOW_NUL, &error);
    assert_non_null(said);
    json_array_foreach(json_object_get(said, "cases"), index, one) {
        const char *name = json_string_value(json_object_get(one, "name"));
        if (json_is_true(json_object_get(one, "passed"))) {
            print_error("# passed: %s\n", name);
        } else if (strstr(json_string_value(json_object_get(one, "what")),
                          "malformed") != NULL) {
            print_error("# %s: %s\n", name,
                        json_string_value(json_object_get(one, "what")));
            fail();
        }
    }
    T_EQ(json_integer_value(json_object_get(said, "failed")), all.count);
    T_EQ(json_integer_value(json_object_get(said, "passed")), 0);
    json_decref(said);
    json_decref(all.file);
    outcome_free(&of);
}

// ---- words ----------------------------------------------------------------------------

#define FILE_OF(case) "{\"format\":1,\"cases\":[" case "]}"
#define SCENARIO(steps, expect)                                                    \
    FILE_OF(                                                                       \
        "{\"name\":\"the-case\",\"kind\":\"scenario\",\"start\":1700000000000,"    \
        "\"replicas\":[{\"id\":\"A\",\"browserId\":\"a\"}],\"steps\":[" steps      \
        "],\"expect\":" expect "}")
#define EMPTY "{\"state\":{\"items\":{}}}"
#define ADD                                                                        \
    "{\"do\":\"edit\",\"at\":\"A\",\"op\":{\"type\":\"ADD\",\"instanceId\":\"x\"," \
    "\"imageId\":\"i\"}}"

// What a failure says, word for word.
static void test_words(void **state) {
    static const struct {
        const char *name, *text, *want;
    } rows[] = {
        {"a view",
         SCENARIO(ADD ",{\"do\":\"expect\",\"at\":\"A\",\"view\":{\"items\":{}}}",
                  EMPTY),
         "FAILED the-case (@/case.json)\n"
         "  step 1 (expect): what A shows\n"
         "    expected {\"items\":{},\"sort\":\"asc\"}\n"
         "    seen     {\"items\":{\"x\":{\"imageId\":\"i\"}},\"sort\":\"asc\"}\n"},
        {"pending",
         SCENARIO(ADD ",{\"do\":\"expect\",\"at\":\"A\",\"pending\":2}", EMPTY),
         "step 1 (expect): pending operations of A\n"
         "    expected 2\n    seen     1\n"},
        {"dead letters",
         SCENARIO("{\"do\":\"expect\",\"at\":\"A\",\"deadLetters\":1}", EMPTY),
         "step 0 (expect): dead letters of A\n"},
        {"server operations",
         SCENARIO("{\"do\":\"expect\",\"serverOps\":1}", EMPTY),
         "step 0 (expect): operations in the server's log\n"
         "    expected 1\n    seen     0\n"},
        {"the server's state",
         SCENARIO("{\"do\":\"expect\",\"server\":{\"items\":{},\"sort\":\"desc\"}}",
                  EMPTY),
         "step 0 (expect): the server's state\n"},
        {"a result",
         SCENARIO("{\"do\":\"edit\",\"at\":\"A\",\"op\":{\"type\":\"SORT_CHANGE\","
                  "\"sort\":\"asc\"},\"result\":\"gone\"}",
                  EMPTY),
         "step 0 (edit): result\n    expected gone\n    seen     ok\n"},
        {"an edit that can never be accepted",
         SCENARIO("{\"do\":\"edit\",\"at\":\"A\",\"op\":{\"type\":\"SORT_CHANGE\","
                  "\"sort\":\"up\"}}",
                  EMPTY),
         "step 0 (edit): the edit was refused: "},
        {"the end: a queue that is not empty",
         SCENARIO(ADD, "{\"state\":{\"items\":{\"x\":{\"imageId\":\"i\"}}}}"),
         "  pending operations of A\n    expected 0\n    seen     1\n"},
        {"the end: the confirmed state",
         SCENARIO(ADD, "{\"state\":{\"items\":{\"x\":{\"imageId\":\"i\"}}},"
                       "\"pending\":{\"A\":1}}"),
         "  the confirmed state of A\n"},
        {"the end: the server's state",
         SCENARIO(ADD, "{\"state\":{\"items\":{\"x\":{\"imageId\":\"i\"}}},"
                       "\"except\":[\"A\"]}"),
         "  the server's state\n"},
        {"the end: the order",
         SCENARIO("", "{\"state\":{\"items\":{}},\"order\":[\"x\"]}"),
         "  the order that A shows\n    expected [\"x\"]\n    seen     []\n"},
        {"a push of a page that does not run",
         SCENARIO("{\"do\":\"crash\",\"at\":\"A\"},{\"do\":\"push\",\"at\":\"A\"}",
                  EMPTY),
         "step 1 (push): malformed: A does not run\n"},
        {"a start of a page that runs",
         SCENARIO("{\"do\":\"start\",\"at\":\"A\"}", EMPTY),
         "step 0 (start): malformed: A runs already\n"},
        {"a crash of a page that does not run",
         SCENARIO("{\"do\":\"crash\",\"at\":\"A\"},{\"do\":\"crash\",\"at\":\"A\"}",
                  EMPTY),
         "step 1 (crash): malformed: A does not run\n"},
        {"an edit of a page that does not run",
         SCENARIO("{\"do\":\"crash\",\"at\":\"A\"}," ADD, EMPTY),
         "step 1 (edit): malformed: A does not run\n"},
        {"an expectation of a page that does not run",
         SCENARIO("{\"do\":\"crash\",\"at\":\"A\"},"
                  "{\"do\":\"expect\",\"at\":\"A\",\"pending\":0}",
                  EMPTY),
         "step 1 (expect): malformed: A does not run\n"},
        {"a wipe under a page", SCENARIO("{\"do\":\"wipe\",\"at\":\"A\"}", EMPTY),
         "step 0 (wipe): malformed: A runs, its storage is in use\n"},
        {"a replay of nothing",
         SCENARIO("{\"do\":\"replay\",\"at\":\"A\",\"nth\":1}", EMPTY),
         "step 0 (replay): malformed: A sent fewer pushes\n"},
        {"a loss of nothing",
         SCENARIO("{\"do\":\"crash\",\"at\":\"A\"},"
                  "{\"do\":\"loseQueued\",\"at\":\"A\",\"nth\":1}",
                  EMPTY),
         "step 1 (loseQueued): malformed: A has fewer stored queue entries\n"},
        {"a restore of nothing", SCENARIO("{\"do\":\"restore\"}", EMPTY),
         "step 0 (restore): malformed: there is no backup yet\n"},
        {"more time than there is",
         SCENARIO("{\"do\":\"advance\",\"ms\":9007199254740991}", EMPTY),
         "step 0 (advance): malformed: time runs out\n"},
        {"an unknown step", SCENARIO(ADD ",{\"do\":\"jump\"}", EMPTY),
         "step 1: malformed: there is no step `jump`\n"},
        {"a name that is taken",
         FILE_OF(
             "{\"name\":\"n\",\"kind\":\"merge\",\"ops\":[],\"expect\":" EMPTY "},"
             "{\"name\":\"n\",\"kind\":\"merge\",\"ops\":[],\"expect\":" EMPTY "}"),
         "FAILED n (@/case.json)\n  malformed: the name is taken in this file\n"},
        {"a case without a name", FILE_OF("{}"), "FAILED (a case without a name)"},
        {"a name that would drive the terminal",
         FILE_OF("{\"name\":\"\\u001b[2J\",\"kind\":\"merge\"}"),
         "FAILED \\u001b[2J ("},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        char want[512];
        size_t len = 0;
        t_row = rows[i].name;
        for (const char *at = rows[i].want; *at != '\0';
             at++) { // "@": the directory
            if (*at != '@') {
                want[len++] = *at;
                continue;
            }
            const char *file = path_in("");
            size_t size = strlen(file) - 1;
            memcpy(want + len, file, size);
            len += size;
        }
        want[len] = '\0';
        file_write("case.json", rows[i].text);
        outcome of = program_run("check @/case.json");
        outcome_is(&of, 1, want);
        outcome_is(&of, 1, " of ");
        outcome_free(&of);
    }
}

static void test_usage(void **state) {
    static const struct {
        const char *name, *line;
        int code;
        const char *want;
    } rows[] = {
        {"no file", "check", 2, "FILE... is missing"},
        {"a file that is not there", "check @/nothing.json", 2, "No such file"},
        {"a directory", "check @", 2, "Is a directory"},
        {"a file that is none", "check README.md", 2, "README.md: line 1"},
        {"one good, one bad", "check tests/golden/clocks.json @/nothing.json", 2,
         "15 of 15 cases passed"},
        {"nothing to try", "check @/empty.json", 2,
         "there is no case in what was named"},
        {"an unknown option", "check --stroe memory x", 2, "did you mean --store?"},
        {"an unknown engine", "check --engine java x", 2,
         "--engine is one of native|wasm, not \"java\""},
        {"help", "check --help", 0, "For example:"},
    };
    (void)state;
    file_write("empty.json", FILE_OF(""));
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        outcome of = program_run("%s", rows[i].line);
        outcome_is(&of, rows[i].code, rows[i].want);
        outcome_free(&of);
    }
}

// Runs the wasm engine with this PATH; the words must be there, and the code 2.
static void node_missing(const char *path, const char *want) {
    char command[2048], text[2048] = "";
    (void)snprintf(command, sizeof command,
                   "PATH=%s %s check --engine wasm tests/golden/clocks.json 2>&1",
                   path, program_path);
    FILE *from = popen(command, "r");
    size_t len = fread(text, 1, sizeof text - 1, from);
    text[len] = '\0';
    T_EQ(pclose(from) >> 8, 2);
    if (strstr(text, want) == NULL) T_TEXT(t_str(text), want);
}

// Without node, or with one that is none: said once, plainly.
static void test_no_node(void **state) {
    char path[512];
    (void)state;
    t_row = "no node";
    node_missing("/nowhere", "node is not there: core.wasm is run by Node.js 20");
    t_row = "a node that ends";
    file_write("node", "#!/bin/sh\nexit 3\n");
    T_EQ(chmod(path_in("node"), 0700), 0);
    (void)snprintf(path, sizeof path, "%s", path_in(""));
    node_missing(path, "node ended with exit code 3");
    t_row = "a node that cannot be run";
    file_write("node", "neither a script nor a program\n");
    node_missing(path, "tidemark check: node ");
}

// More than one request's worth of `initial`.
static void test_long_initial(void **state) {
    json_t *items = json_object(), *file;
    (void)state;
    t_row = "250 items before the first step";
    for (int i = 0; i < 250; i++) {
        char id[16];
        (void)snprintf(id, sizeof id, "x%d", i);
        json_object_set_new(items, id, json_pack("{s:s}", "imageId", "i"));
    }
    json_t *state_wanted = json_pack("{s:o,s:s}", "items", items, "sort", "desc");
    file = json_pack("{s:i,s:[{s:s,s:s,s:I,s:[{s:s,s:s}],s:O,s:[],s:{s:o,s:i}}]}",
                     "format", 1, "cases", "name", "long", "kind", "scenario",
                     "start", (json_int_t)1700000000000, "replicas", "id", "A",
                     "browserId", "a", "initial", state_wanted, "steps", "expect",
                     "state", state_wanted, "serverOps", 0);
    assert_non_null(file);
    T_EQ(json_dump_file(file, path_in("long.json"), 0), 0);
    json_decref(file);
    outcome of = program_run("check @/long.json");
    outcome_is(&of, 0, "1 of 1 cases passed");
    outcome_free(&of);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mutants),      cmocka_unit_test(test_words),
        cmocka_unit_test(test_usage),        cmocka_unit_test(test_no_node),
        cmocka_unit_test(test_long_initial),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
