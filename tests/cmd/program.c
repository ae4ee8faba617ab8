// program.c - see program.h.
#include "program.h"

#include <dirent.h>
#include <sys/wait.h>
#include <unistd.h>

static char directory[64];

// For tests that run no program.
__attribute__((weak)) const char *program_path = "false";

const char *directory_make(void) {
    (void)snprintf(directory, sizeof directory, "/tmp/tidemark-test-XXXXXX");
    assert_non_null(mkdtemp(directory));
    return directory;
}

void directory_clear(void) {
    DIR *listing = opendir(directory);
    struct dirent *entry;
    while (listing != NULL && (entry = readdir(listing)) != NULL) {
        (void)unlink(path_in(entry->d_name));
    }
    if (listing != NULL) (void)closedir(listing);
    (void)rmdir(directory);
}

const char *path_in(const char *name) {
    static char paths[4][512];
    static unsigned next;
    char *path = paths[next++ % 4];
    (void)snprintf(path, sizeof paths[0], "%s/%s", directory, name);
    return path;
}

void file_write(const char *name, const char *text) {
    FILE *file = fopen(path_in(name), "wb");
    assert_non_null(file);
    T_EQ(fwrite(text, 1, strlen(text), file), strlen(text));
    T_EQ(fclose(file), 0);
}

// The text with every "@" replaced.
static void expand(char *line, size_t size, const char *text) {
    size_t len = 0;
    for (; *text != '\0' && len + 1 < size; text++) {
        if (*text == '@') {
            len += (size_t)snprintf(line + len, size - len, "%s", directory);
        } else {
            line[len++] = *text;
        }
    }
    assert_true(len < size);
    line[len] = '\0';
}

static char *read_all(FILE *from) {
    size_t len = 0, cap = 1 << 16;
    char *text = malloc(cap);
    assert_non_null(text);
    for (size_t got; (got = fread(text + len, 1, cap - len - 1, from)) > 0;) {
        len += got;
        if (cap - len < 4096) {
            cap *= 2;
            text = realloc(text, cap);
            assert_non_null(text);
        }
    }
    text[len] = '\0';
    return text;
}

outcome program_run(const char *arguments, ...) {
    char text[4096], line[8192], command[8600];
    va_list values;
    va_start(values, arguments);
    (void)vsnprintf(text, sizeof text, arguments, values);
    va_end(values);
    expand(line, sizeof line, text);
    // A program that hangs is a failure, not the end of the suite.
    (void)snprintf(command, sizeof command, "timeout 240 %s %s 2>&1", program_path,
                   line);
    FILE *from = popen(command, "r");
    assert_non_null(from);
    outcome of = {.text = read_all(from)};
    int status = pclose(from);
    of.code = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return of;
}

void outcome_free(outcome *of) {
    free(of->text);
    *of = (outcome){0};
}

void outcome_is(const outcome *of, int code, const char *part) {
    bool found = strstr(of->text, part) != NULL;
    if (found && of->code == code) return;
    print_error("# [%s] exit code %d, want %d; want \"%s\" in:\n%.3000s\n", t_row,
                of->code, code, part, of->text);
    fail();
}
