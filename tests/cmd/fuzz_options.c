// Any lines as the words of a command line. They are read or refused; what is read into an
// option was one of the words, a number is the number that stands there, and the words that
// are left are arguments, in their order.
#include "cmd/options.h"
#include "core/json.h"

#include <unistd.h>

#include "fuzz.h"

#define ARGS_MAX 200

static const char about[] = "It does.\n";
static const tm_command command = {.name = "try",
                                   .arguments = "FILE...",
                                   .arguments_min = 0,
                                   .arguments_max = 3,
                                   .about = about,
                                   .example = about};

static size_t split(char *text, size_t size, char **argv) {
    size_t argc = 0;
    for (size_t at = 0, begin = 0; at <= size && argc < ARGS_MAX; at++) {
        if (at < size && text[at] != '\n') continue;
        text[at] = '\0';
        argv[argc++] = text + begin;
        begin = at + 1;
    }
    argv[argc] = NULL;
    return argc;
}

// A value is a word, or what stands behind a word's first "=".
static bool came_from(const char *value, char **words, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *equals = strchr(words[i], '=');
        if (value == words[i] || (equals != NULL && value == equals + 1))
            return true;
    }
    return false;
}

static bool among(const char *word, char *const *argv, size_t from, size_t *at) {
    for (*at = from; argv[*at] != NULL; ++*at) {
        if (argv[*at] == word) return true;
    }
    return false;
}

typedef struct asked {
    bool flag;
    const char *text, *choice;
    uint64_t number;
    tm_words words;
} asked;

static void check(const asked *got, char **rest, char **argv, size_t argc) {
    TM_ASSERT(got->text == NULL || came_from(got->text, argv, argc));
    TM_ASSERT(got->choice == NULL || strcmp(got->choice, "red") == 0 ||
              strcmp(got->choice, "green") == 0);
    for (size_t i = 0; i < got->words.count; i++) {
        TM_ASSERT(came_from(got->words.items[i], argv, argc));
    }
    size_t from = 0, count = 0, at;
    for (; rest[count] != NULL; count++) {
        TM_ASSERT(among(rest[count], argv, from, &at));
        from = at + 1;
    }
    TM_ASSERT(count <= command.arguments_max);
}

static void try(char **argv, size_t argc) {
    static char *words[ARGS_MAX + 1];
    asked got = {.number = 7};
    const tm_option options[] = {
        {"flag", NULL, TM_OPTION_FLAG, &got.flag, "yes"},
        {"text", "TEXT", TM_OPTION_TEXT, &got.text, "any"},
        {"colour", "red|green", TM_OPTION_CHOICE, &got.choice, "which"},
        {"number", "N", TM_OPTION_NUMBER, &got.number, "how many"},
        {"word", "WORD", TM_OPTION_WORDS, &got.words, "again"},
        {0}};
    char **rest = NULL;
    memcpy(words, argv, (argc + 1) * sizeof *words);
    int code = tm_options_read(&command, options, (int)argc, words, &rest);
    TM_ASSERT(code == -1 || code == TM_EXIT_OK || code == TM_EXIT_USAGE);
    if (code == -1) check(&got, rest, argv, argc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    static FILE *nowhere;
    char *argv[ARGS_MAX + 1], *text = malloc(size + 1);
    TM_ASSERT(text != NULL);
    if (nowhere == NULL) nowhere = fopen("/dev/null", "w");
    TM_ASSERT(nowhere != NULL);
    if (size > 0) memcpy(text, data, size);
    size_t argc = split(text, size, argv);
    FILE *out = stdout, *err = stderr; // what is said to people is not looked at
    stdout = stderr = nowhere;
    try(argv, argc);
    stdout = out;
    stderr = err;
    tm_buf safe = {.alloc = &tm_host_alloc}; // and no terminal is driven by it
    tm_say_safe(&safe, (tm_span){data, size});
    for (size_t i = 0; i < safe.len; i++) {
        TM_ASSERT(safe.ptr[i] >= 0x20 && safe.ptr[i] != 0x7f);
    }
    TM_ASSERT(tm_utf8_valid(tm_buf_span(&safe)));
    tm_buf_deinit(&safe);
    free(text);
    return 0;
}
