// main.c - the `tidemark` program: finds the command, and says what there is.
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cmd/commands.h"

// jemalloc reads it before main: one heap, since what is kept is the loop's; what is not used
// goes back after half a second. docs/decisions/0020.
__attribute__((visibility("default"))) extern const char *malloc_conf;
const char *malloc_conf = "narenas:1,dirty_decay_ms:500,muzzy_decay_ms:0";

static const tm_command *const commands[] = {
    &tm_command_serve,  &tm_command_log,    &tm_command_state,
    &tm_command_verify, &tm_command_backup, &tm_command_restore,
    &tm_command_trim,   &tm_command_check,  &tm_command_simulate,
    &tm_command_tables, &tm_command_bill,   NULL};

// A mistake of ours: it is said, and nothing goes on with a state that nobody intended.
// Nothing is allocated here, and nothing locked: who knows what is broken. The daemon,
// which is never "at" anything in particular, says it as a line of its log.
_Noreturn void tm_panic(const char *file, int line, const char *what) {
    char text[768], clean[256];
    const char *at = tm_host_at();
    size_t count = 0;
    for (; what[count] != '\0' && count + 1 < sizeof clean; count++) {
        bool plain = what[count] != '"' && what[count] != '\\';
        clean[count] = plain ? what[count] : '\'';
    }
    clean[count] = '\0';
    int len = snprintf(text, sizeof text,
                       at[0] == '\0'
                           ? "{\"level\":\"ERROR\",\"event\":\"assertion failed\","
                             "\"at\":\"%s:%d\",\"what\":\"%s\"}\n"
                           : "tidemark: assertion failed at %s:%d: %s\n",
                       file, line, clean);
    if (len > (int)sizeof text - 1) len = (int)sizeof text - 1;
    if (len > 0) (void)!write(STDERR_FILENO, text, (size_t)len);
    if (at[0] != '\0') {
        len = snprintf(text, sizeof text, "tidemark: it was at %s\n", at);
        if (len > 0) (void)!write(STDERR_FILENO, text, (size_t)len);
    }
    abort();
}

static void help_print(FILE *to) {
    (void)fputs(
        "tidemark keeps a list the same in every browser, and loses no edit.\n\n",
        to);
    for (const tm_command *const *one = commands; *one != NULL; one++) {
        (void)fprintf(to, "  tidemark %-8s %s\n", (*one)->name, (*one)->summary);
    }
    (void)fputs("\n  tidemark COMMAND --help says more, with an example.\n"
                "  tidemark --version\n\n"
                "For example:\n\n"
                "  tidemark serve --user demo --data data\n",
                to);
}

static int unknown(const char *word) {
    const char *names[sizeof commands / sizeof commands[0]] = {NULL};
    for (size_t i = 0; commands[i] != NULL; i++) {
        names[i] = commands[i]->name;
    }
    const char *hint = tm_hint(word, names);
    (void)fputs("tidemark: there is no command \"", stderr);
    tm_print_safe(stderr, tm_text(word));
    (void)fprintf(stderr, "\"%s%s%s\n",
                  hint == NULL ? "" : "; did you mean `tidemark ",
                  hint == NULL ? "" : hint, hint == NULL ? "" : "`?");
    (void)fputs("`tidemark --help` lists them.\n", stderr);
    return TM_EXIT_USAGE;
}

// What was printed must have arrived: a full disk or a closed pipe is a failure.
static int finish(int code) {
    if (fflush(stdout) == 0 && ferror(stdout) == 0) return code;
    (void)fputs("tidemark: the output could not be written\n", stderr);
    return code == TM_EXIT_OK ? TM_EXIT_FAILED : code;
}

int main(int argc, char **argv) {
    if (argc < 2) {
        help_print(stderr);
        return TM_EXIT_USAGE;
    }
    const char *word = argv[1];
    if (strcmp(word, "--version") == 0) {
        (void)puts("tidemark " TM_VERSION);
        return finish(TM_EXIT_OK);
    }
    if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 ||
        strcmp(word, "help") == 0) {
        help_print(stdout);
        return finish(TM_EXIT_OK);
    }
    for (const tm_command *const *one = commands; *one != NULL; one++) {
        if (strcmp((*one)->name, word) == 0) {
            return finish((*one)->run(*one, argc - 2, argv + 2));
        }
    }
    return unknown(word);
}
