// `tidemark serve` as a process: how it starts, what it leaves, how it ends.
#include "program.h"

#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

typedef struct daemon {
    pid_t pid;
    int log; // its stderr
    uint16_t port;
    char said[8192];
    size_t len;
} daemon;

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

// Reads what the daemon says until this is in it; fails the test after ten seconds.
static void daemon_says(daemon *of, const char *part) {
    while (strstr(of->said, part) == NULL) {
        struct pollfd ready = {.fd = of->log, .events = POLLIN};
        T_EQ(poll(&ready, 1, 10000), 1);
        ssize_t got =
            read(of->log, of->said + of->len, sizeof of->said - 1 - of->len);
        if (got <= 0) {
            T_TEXT(t_str(of->said), part);
            fail();
        }
        of->len += (size_t)got;
        of->said[of->len] = '\0';
    }
}

static void daemon_start(daemon *of, const char *level) {
    int ends[2];
    char data[512];
    (void)snprintf(data, sizeof data, "%s", path_in(""));
    char *argv[] = {(char *)(uintptr_t)program_path,
                    (char *)"serve",
                    (char *)"--user",
                    (char *)"demo",
                    (char *)"--data",
                    data,
                    (char *)"--listen",
                    (char *)"127.0.0.1:0",
                    (char *)"--log-level",
                    (char *)(uintptr_t)level,
                    NULL};
    posix_spawn_file_actions_t actions;
    *of = (daemon){0};
    T_EQ(pipe(ends), 0);
    T_EQ(posix_spawn_file_actions_init(&actions), 0);
    T_EQ(posix_spawn_file_actions_adddup2(&actions, ends[1], STDERR_FILENO), 0);
    T_EQ(posix_spawn_file_actions_addclose(&actions, ends[0]), 0);
    T_EQ(posix_spawn_file_actions_addclose(&actions, ends[1]), 0);
    T_EQ(posix_spawn(&of->pid, program_path, &actions, NULL, argv, environ), 0);
    T_EQ(posix_spawn_file_actions_destroy(&actions), 0);
    T_EQ(close(ends[1]), 0);
    of->log = ends[0];
}

static void daemon_listens(daemon *of) {
    daemon_says(of, "\"event\":\"listening\",\"url\":\"http://127.0.0.1:");
    const char *url = strstr(of->said, "http://127.0.0.1:");
    of->port = (uint16_t)strtoul(url + strlen("http://127.0.0.1:"), NULL, 10);
    T_TRUE(of->port > 0);
}

// Ends it with a signal; its exit code, or 128 + signal.
static int daemon_end(daemon *of, int signal_number) {
    int status;
    T_EQ(kill(of->pid, signal_number), 0);
    T_EQ(waitpid(of->pid, &status, 0), of->pid);
    for (ssize_t got = 1; got > 0;) { // all it still said
        got = read(of->log, of->said + of->len, sizeof of->said - 1 - of->len);
        if (got > 0) of->len += (size_t)got;
    }
    of->said[of->len] = '\0';
    T_EQ(close(of->log), 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

// One request on a connection of its own; the whole answer.
static const char *ask(const daemon *of, const char *request) {
    static char answer[16384];
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(of->port)};
    size_t len = 0;
    ssize_t got;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    T_TRUE(fd >= 0);
    to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    T_EQ(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
    T_EQ(write(fd, request, strlen(request)), strlen(request));
    while ((got = read(fd, answer + len, sizeof answer - 1 - len)) > 0) {
        len += (size_t)got;
    }
    answer[len] = '\0';
    T_EQ(close(fd), 0);
    return answer;
}

static const char *ask_body(const daemon *of, const char *line, const char *body) {
    char text[2048];
    (void)snprintf(
        text, sizeof text,
        "%s HTTP/1.1\r\nHost: 127.0.0.1:%u\r\nConnection: close\r\n"
        "Content-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        line, of->port, strlen(body), body);
    return ask(of, text);
}

#define PUSH "POST /v1/lists/photos/operations"
#define OPS(id, version)                                                           \
    "{\"user\":\"demo\",\"operations\":[{\"id\":\"" id                             \
    "\",\"type\":\"SORT_CHANGE\","                                                 \
    "\"sort\":\"asc\",\"timestamp\":1,\"browserId\":\"w\",\"version\":" version    \
    "}]}"

static void has(const char *text, const char *part) {
    if (strstr(text, part) == NULL) T_TEXT(t_str(text), part);
}

static void test_life(void **state) {
    daemon one;
    struct stat file;
    (void)state;
    t_row = "it starts";
    daemon_start(&one, "info");
    daemon_listens(&one);
    daemon_says(&one, "\"event\":\"identity\"");
    has(one.said, "no tokens");
    has(ask_body(&one, "GET /healthz", ""), "HTTP/1.1 200");

    t_row = "what it writes is nobody else's";
    T_EQ(stat(path_in("tidemark.db"), &file), 0);
    T_EQ(file.st_mode & 0777, 0600);

    t_row = "an operation, seen beside it";
    has(ask_body(&one, PUSH, OPS("first", "1")), "\"status\":\"ok\",\"seq\":1");
    outcome of = program_run("log --data @");
    outcome_is(&of, 0, "sorted the list ascending");
    outcome_free(&of);

    t_row = "a second one on the same data";
    of = program_run("serve --user demo --data @ --listen 127.0.0.1:0");
    outcome_is(&of, 1, "tidemark serve: ");
    outcome_is(&of, 1, "stop that one first");
    outcome_free(&of);

    t_row = "a port that is taken";
    of = program_run("serve --user demo --data @/other --listen 127.0.0.1:%u",
                     one.port);
    outcome_is(&of, 1, "tidemark serve: ");
    outcome_free(&of);

    t_row = "killed, and started again: what was acknowledged is there";
    T_EQ(daemon_end(&one, SIGKILL), 128 + SIGKILL);
    daemon_start(&one, "info");
    daemon_listens(&one);
    has(ask_body(&one, PUSH, OPS("first", "1")),
        "\"status\":\"duplicate\",\"seq\":1");
    has(ask_body(&one, PUSH, OPS("second", "2")), "\"status\":\"ok\",\"seq\":2");

    t_row = "SIGTERM: a clean end";
    T_EQ(daemon_end(&one, SIGTERM), 0);
    has(one.said, "\"event\":\"stopped\",\"uptimeMs\":");
    of = program_run("verify --data @");
    outcome_is(&of, 0, "1 of 1 list verified, 2 operations");
    outcome_free(&of);
}

static void test_quiet(void **state) {
    daemon one;
    (void)state;
    t_row = "--log-level error says nothing that is none";
    daemon_start(&one, "error");
    // Nothing tells when it listens; ending it before is as good.
    T_TRUE(daemon_end(&one, SIGTERM) >= 0);
    T_TEXT(t_str(one.said), "");
}

static void test_refused(void **state) {
    static const struct {
        const char *name, *line;
        int code;
        const char *want;
    } rows[] = {
        {"nobody", "serve --data @", 2, "who is using it? --user NAME"},
        {"an empty name", "serve --data @ --user ''", 2,
         "--user wants 1 to 128 bytes"},
        {"a name with a control", "serve --data @ --user \"$(printf 'a\\001')\"", 2,
         "--user wants"},
        {"a name that is no UTF-8", "serve --data @ --user \"$(printf 'a\\377')\"",
         2, "--user wants"},
        {"an address alone", "serve --data @ --user d --listen 127.0.0.1", 2,
         "--listen wants ADDRESS:PORT"},
        {"a port alone", "serve --data @ --user d --listen :8080", 2,
         "--listen wants"},
        {"no port", "serve --data @ --user d --listen 127.0.0.1:", 2,
         "--listen wants"},
        {"a port too high", "serve --data @ --user d --listen 127.0.0.1:65536", 2,
         "--listen wants"},
        {"a port with a tail", "serve --data @ --user d --listen 127.0.0.1:80x", 2,
         "--listen wants"},
        {"IPv6 without brackets", "serve --data @ --user d --listen ::1:8080", 2,
         "--listen wants"},
        {"another machine's address", "serve --data @ --user d --listen 8.8.8.8:0",
         1, "tidemark serve: "},
        {"every address", "serve --data @ --user d --listen 0.0.0.0:0", 1,
         "tidemark serve: "},
        {"an origin that is none",
         "serve --data @ --user d --listen 127.0.0.1:0 "
         "--allow-origin example.com",
         1, "tidemark serve: "},
        {"a directory that cannot be made", "serve --data @/no/where --user d", 1,
         "No such file or directory"},
        {"no pictures",
         "serve --data @ --user d --listen 127.0.0.1:0 --photos @/none", 1,
         "tidemark serve: "},
        {"an argument", "serve --user d here", 2, "one argument too many"},
    };
    (void)state;
    for (size_t i = 0; i < COUNT(rows); i++) {
        t_row = rows[i].name;
        outcome of = program_run("%s", rows[i].line);
        outcome_is(&of, rows[i].code, rows[i].want);
        outcome_free(&of);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_life),
        cmocka_unit_test(test_quiet),
        cmocka_unit_test(test_refused),
    };
    return cmocka_run_group_tests(tests, make, clear);
}
