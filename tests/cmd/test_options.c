// Reading a command line: cmd/options.h.
#include "t.h"

#include "cmd/options.h"

typedef struct settings {
    bool loud;
    const char *name, *kind;
    uint64_t count;
    tm_words words;
    char **rest;
} settings;

static const tm_command command = {.name = "try",
                                   .arguments = "FILE...",
                                   .arguments_min = 1,
                                   .arguments_max = 2,
                                   .about = "",
                                   .example = ""};

// Reads the words of a line, which are separated by one space each.
static int line_read(const char *line, settings *set) {
    static char text[256];
    static char *argv[32];
    int argc = 0;
    *set = (settings){.name = "nobody", .kind = "red"};
    const tm_option options[] = {
        {"loud", NULL, TM_OPTION_FLAG, &set->loud, ""},
        {"name", "NAME", TM_OPTION_TEXT, &set->name, ""},
        {"kind", "red|green", TM_OPTION_CHOICE, &set->kind, ""},
        {"count", "N", TM_OPTION_NUMBER, &set->count, ""},
        {"word", "W", TM_OPTION_WORDS, &set->words, ""},
        {0}};
    (void)snprintf(text, sizeof text, "%s", line);
    for (char *word = strtok(text, " "); word != NULL; word = strtok(NULL, " ")) {
        argv[argc++] = word;
    }
    argv[argc] = NULL;
    return tm_options_read(&command, options, argc, argv, &set->rest);
}

static void test_taken(void **state) {
    (void)state;
    settings set;
    t_row = "all kinds, mixed with arguments";
    T_EQ(line_read("a --loud --name x --kind=green --count 18446744073709551615 "
                   "--word one b --word=two",
                   &set),
         -1);
    T_TRUE(set.loud);
    T_TEXT(t_str(set.name), "x");
    T_TEXT(t_str(set.kind), "green");
    T_TRUE(set.count == UINT64_MAX);
    T_EQ(set.words.count, 2);
    T_TEXT(t_str(set.words.items[1]), "two");
    T_TEXT(t_str(set.rest[0]), "a");
    T_TEXT(t_str(set.rest[1]), "b");
    assert_null(set.rest[2]);

    t_row = "nothing given";
    T_EQ(line_read("a", &set), -1);
    T_TEXT(t_str(set.name), "nobody");
    T_EQ(set.words.count, 0);

    t_row = "behind -- all are arguments";
    T_EQ(line_read("-- --loud -x", &set), -1);
    T_TRUE(!set.loud);
    T_TEXT(t_str(set.rest[1]), "-x");

    t_row = "a dash alone is an argument";
    T_EQ(line_read("-", &set), -1);

    t_row = "an empty value";
    T_EQ(line_read("a --name=", &set), -1);
    T_TEXT(t_str(set.name), "");
}

static void test_refused(void **state) {
    static const struct {
        const char *name, *line;
    } rows[] = {
        {"unknown option", "a --lout"},
        {"unknown, with a value", "a --nam=x"},
        {"one dash", "a -l"},
        {"no value", "a --name"},
        {"a flag with a value", "a --loud=yes"},
        {"no such choice", "a --kind blue"},
        {"half a choice", "a --kind gre"},
        {"two choices", "a --kind red|green"},
        {"no number", "a --count x"},
        {"a negative number", "a --count -1"},
        {"a number with a tail", "a --count 1x"},
        {"an empty number", "a --count="},
        {"a number past 64 bits", "a --count 18446744073709551616"},
        {"no argument", "--loud"},
        {"too many arguments", "a b c"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        settings set;
        t_row = rows[i].name;
        T_EQ(line_read(rows[i].line, &set), TM_EXIT_USAGE);
    }
}

static void test_help(void **state) {
    settings set;
    (void)state;
    t_row = "asked for, in whatever company";
    T_EQ(line_read("--help", &set), TM_EXIT_OK);
    T_EQ(line_read("a b -h", &set), TM_EXIT_OK);
}

static void test_hints(void **state) {
    static const char *const names[] = {"serve", "log", "state", "verify", NULL};
    static const struct {
        const char *word, *want;
    } rows[] = {
        {"serv", "serve"},
        {"sevre", "serve"},
        {"stat", "state"},
        {"lgo", NULL},
        {"verfiy", "verify"},
        {"lo", "log"},
        {"bake", NULL},
        {"a word that is longer than any of ours could ever be", NULL},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].word;
        T_TEXT(t_str(tm_hint(rows[i].word, names)), rows[i].want);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_taken),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_help),
        cmocka_unit_test(test_hints),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
