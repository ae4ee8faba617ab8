// options.c - see options.h.
#include "cmd/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

// ---- saying no ------------------------------------------------------------------------

__attribute__((format(printf, 2, 0))) static void
complain(const tm_command *command, const char *format, va_list values) {
    (void)fprintf(stderr, "tidemark %s: ", command->name);
    (void)vfprintf(stderr, format, values);
    (void)fputc('\n', stderr);
}

int tm_usage_error(const tm_command *command, const char *format, ...) {
    va_list values;
    va_start(values, format);
    complain(command, format, values);
    va_end(values);
    (void)fprintf(stderr, "`tidemark %s --help` has an example.\n", command->name);
    return TM_EXIT_USAGE;
}

int tm_failure(const tm_command *command, const char *format, ...) {
    va_list values;
    va_start(values, format);
    complain(command, format, values);
    va_end(values);
    return TM_EXIT_FAILED;
}

int tm_failure_at(const tm_command *command, const char *path, const char *reason) {
    if (strstr(reason, path) != NULL) return tm_failure(command, "%s", reason);
    return tm_failure(command, "%s: %s", path, reason);
}

// How many letters must be put in, taken out or changed. Both are short: what is longer
// than any of our names is like none of them.
#define WORD_MAX 32u
static size_t distance(const char *a, const char *b) {
    size_t a_len = strlen(a), b_len = strlen(b), row[WORD_MAX + 1];
    if (a_len > WORD_MAX || b_len > WORD_MAX) return SIZE_MAX;
    for (size_t j = 0; j <= b_len; j++) {
        row[j] = j;
    }
    for (size_t i = 1; i <= a_len; i++) {
        size_t corner = row[0];
        row[0] = i;
        for (size_t j = 1; j <= b_len; j++) {
            size_t best = corner + (a[i - 1] == b[j - 1] ? 0 : 1);
            corner = row[j];
            if (row[j] + 1 < best) best = row[j] + 1;
            if (row[j - 1] + 1 < best) best = row[j - 1] + 1;
            row[j] = best;
        }
    }
    return row[b_len];
}

const char *tm_hint(const char *word, const char *const *names) {
    const char *best = NULL;
    size_t least = strlen(word) < 4 ? 2 : 3; // further away is another word
    for (; *names != NULL; names++) {
        size_t found = distance(word, *names);
        if (found < least) {
            least = found;
            best = *names;
        }
    }
    return best;
}

// ---- help -------------------------------------------------------------------------------

static void help_print(const tm_command *command, const tm_option *options) {
    (void)printf("tidemark %s [OPTION...]%s%s\n\n%s\n", command->name,
                 command->arguments[0] == '\0' ? "" : " ", command->arguments,
                 command->about);
    for (const tm_option *option = options; option->name != NULL; option++) {
        char left[64];
        (void)snprintf(left, sizeof left, "--%s%s%s", option->name,
                       option->value == NULL ? "" : " ",
                       option->value == NULL ? "" : option->value);
        (void)printf("  %-28s %s\n", left, option->what);
    }
    (void)printf("  %-28s %s\n\nFor example:\n\n%s", "--help", "this",
                 command->example);
}

// ---- reading --------------------------------------------------------------------------------

static const tm_option *option_find(const tm_option *options, const char *name,
                                    size_t len) {
    for (; options->name != NULL; options++) {
        if (strlen(options->name) == len && memcmp(options->name, name, len) == 0) {
            return options;
        }
    }
    return NULL;
}

static int option_unknown(const tm_command *command, const tm_option *options,
                          const char *name, size_t len) {
    const char *names[TM_WORDS_MAX] = {NULL};
    for (size_t i = 0; i + 1 < TM_WORDS_MAX && options[i].name != NULL; i++) {
        names[i] = options[i].name;
    }
    char word[WORD_MAX + 2];
    (void)snprintf(word, sizeof word, "%.*s",
                   (int)(len > WORD_MAX ? WORD_MAX : len), name);
    const char *hint = tm_hint(word, names);
    if (hint == NULL)
        return tm_usage_error(command, "there is no option --%s", word);
    return tm_usage_error(command, "there is no option --%s; did you mean --%s?",
                          word, hint);
}

// Whether `value` is one of the words between the bars of `choices`.
static bool is_choice(const char *choices, const char *value) {
    size_t len = strlen(value);
    for (const char *at = choices;; at++) {
        const char *bar = strchr(at, '|');
        size_t word = bar == NULL ? strlen(at) : (size_t)(bar - at);
        if (word == len && memcmp(at, value, len) == 0) return true;
        if (bar == NULL) return false;
        at = bar;
    }
}

static bool number_read(const char *text, uint64_t *number) {
    if (text[0] < '0' || text[0] > '9') return false;
    char *end;
    errno = 0;
    unsigned long long value = strtoull(text, &end, 10);
    if (errno != 0 || *end != '\0') return false;
    *number = value;
    return true;
}

static int value_take(const tm_command *command, const tm_option *option,
                      const char *value) {
    switch (option->kind) {
    case TM_OPTION_FLAG:
        *(bool *)option->to = true;
        return -1;
    case TM_OPTION_TEXT:
        *(const char **)option->to = value;
        return -1;
    case TM_OPTION_CHOICE:
        if (!is_choice(option->value, value)) {
            return tm_usage_error(command, "--%s is one of %s, not \"%s\"",
                                  option->name, option->value, value);
        }
        *(const char **)option->to = value;
        return -1;
    case TM_OPTION_NUMBER:
        if (!number_read(value, option->to)) {
            return tm_usage_error(command, "--%s wants a number, not \"%s\"",
                                  option->name, value);
        }
        return -1;
    case TM_OPTION_WORDS: {
        tm_words *words = option->to;
        if (words->count == TM_WORDS_MAX) {
            return tm_usage_error(command, "--%s is given more than %u times",
                                  option->name, TM_WORDS_MAX);
        }
        words->items[words->count++] = value;
        return -1;
    }
    }
    return -1;
}

// One option, which begins at argv[*at]; *at moves on to the last word of it.
static int option_take(const tm_command *command, const tm_option *options,
                       int argc, char **argv, int *at) {
    const char *name = argv[*at] + 2, *equals = strchr(name, '=');
    size_t len = equals == NULL ? strlen(name) : (size_t)(equals - name);
    const tm_option *option = option_find(options, name, len);
    if (option == NULL) return option_unknown(command, options, name, len);
    if (option->kind == TM_OPTION_FLAG) {
        if (equals != NULL) {
            return tm_usage_error(command, "--%s takes no value", option->name);
        }
        return value_take(command, option, NULL);
    }
    if (equals != NULL) return value_take(command, option, equals + 1);
    if (*at + 1 >= argc) {
        return tm_usage_error(command, "--%s wants a value: %s", option->name,
                              option->value);
    }
    *at += 1;
    return value_take(command, option, argv[*at]);
}

int tm_options_read(const tm_command *command, const tm_option *options, int argc,
                    char **argv, char ***rest) {
    int count = 0;
    bool only_arguments = false;
    for (int at = 0; at < argc; at++) {
        const char *word = argv[at];
        if (only_arguments || word[0] != '-' || word[1] == '\0') {
            argv[count++] = argv[at];
        } else if (strcmp(word, "--") == 0) {
            only_arguments = true;
        } else if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
            help_print(command, options);
            return TM_EXIT_OK;
        } else if (word[1] != '-') {
            return tm_usage_error(command, "there is no option %s", word);
        } else {
            int code = option_take(command, options, argc, argv, &at);
            if (code >= 0) return code;
        }
    }
    argv[count] = NULL; // there is room: argv[argc] is NULL already
    *rest = argv;
    if ((size_t)count < command->arguments_min) {
        return tm_usage_error(command, "%s is missing", command->arguments);
    }
    if ((size_t)count > command->arguments_max) {
        return tm_usage_error(command, "\"%s\" is one argument too many",
                              argv[command->arguments_max]);
    }
    return -1;
}
