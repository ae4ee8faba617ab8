// server.c - see kit.h: a server in a process of its own, and what it costs.
#define _GNU_SOURCE // sched_setaffinity
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "kit.h"

bool on_core(unsigned core) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(core, &one);
    return sched_setaffinity(0, sizeof one, &one) == 0;
}

static void files_raise(void) {
    struct rlimit files;
    if (getrlimit(RLIMIT_NOFILE, &files) != 0) return;
    files.rlim_cur = files.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &files);
}

uint16_t port_free(void) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t len = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, len) != 0 ||
        getsockname(fd, (struct sockaddr *)&address, &len) != 0)
        die("no free port");
    (void)close(fd);
    return ntohs(address.sin_port);
}

// Reads its output until the port is known.
static uint16_t port_read(const server *from) {
    char text[8192];
    size_t len = 0;
    for (;;) {
        ssize_t got = read(from->log, text + len, sizeof text - 1 - len);
        if (got <= 0) die("the server did not start:\n%.*s", (int)len, text);
        len += (size_t)got;
        text[len] = 0;
        const char *at = strstr(text, "http://127.0.0.1:");
        if (at == NULL || strchr(at, '\n') == NULL) continue;
        return (uint16_t)atoi(at + strlen("http://127.0.0.1:"));
    }
}

static bool answers(uint16_t port) {
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    bool did = connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
    (void)close(fd);
    return did;
}

static pid_t running; // so that a benchmark that dies leaves none behind

static void stop_running(void) {
    if (running > 0) (void)kill(running, SIGKILL);
}

void server_start(server *to, char *const argv[], uint16_t port) {
    static bool promised;
    int ends[2];
    files_raise();
    if (!promised) (void)atexit(stop_running);
    promised = true;
    if (pipe(ends) != 0) die("no pipe");
    pid_t pid = fork();
    if (pid < 0) die("no process");
    if (pid == 0) {
        (void)on_core(SERVER_CORE);
        (void)dup2(ends[1], STDERR_FILENO);
        (void)dup2(ends[1], STDOUT_FILENO);
        (void)close(ends[0]);
        (void)close(ends[1]);
        (void)execvp(argv[0], argv);
        (void)fprintf(stderr, "cannot run %s\n", argv[0]);
        _exit(127);
    }
    (void)close(ends[1]);
    (void)fcntl(ends[0], F_SETFD, FD_CLOEXEC);
    running = pid;
    *to = (server){.pid = pid, .log = ends[0]};
    if (port == 0) port = port_read(to);
    to->port = port;
    for (int i = 0; !answers(port); i++) {
        if (i == 500 || waitpid(pid, NULL, WNOHANG) != 0)
            die("%s does not answer", argv[0]);
        (void)nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
    }
    (void)fcntl(to->log, F_SETFL, O_NONBLOCK);
    (void)snprintf(to->url, sizeof to->url, "127.0.0.1:%u", port);
}

void server_stop(server *of) {
    int status = 0;
    char text[4096];
    while (read(of->log, text, sizeof text) > 0) {
    }
    if (kill(of->pid, SIGTERM) != 0 || waitpid(of->pid, &status, 0) != of->pid)
        die("the server is gone");
    running = 0;
    (void)close(of->log);
    of->pid = 0;
}

// ---- what it costs --------------------------------------------------------------------

static void proc_read(const server *of, const char *what, char *text, size_t room) {
    char path[64];
    (void)snprintf(path, sizeof path, "/proc/%d/%s", (int)of->pid, what);
    int fd = open(path, O_RDONLY);
    ssize_t len = fd < 0 ? -1 : read(fd, text, room - 1);
    if (len < 0) die("cannot read %s", path);
    text[len] = 0;
    (void)close(fd);
}

usage server_usage(const server *of) {
    char text[4096];
    usage got = {.at_s = (double)clock_ns() * 1e-9};
    clockid_t clock;
    struct timespec time;
    if (clock_getcpuclockid(of->pid, &clock) != 0 || clock_gettime(clock, &time))
        die("the server is gone");
    got.cpu_s = (double)time.tv_sec + (double)time.tv_nsec * 1e-9;
    proc_read(of, "stat", text, sizeof text);
    const char *at = strrchr(text, ')');
    unsigned long user = 0, system = 0;
    if (at == NULL ||
        sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
               &user, &system) != 2)
        die("/proc/PID/stat is not as it was");
    got.user_s = (double)user / (double)sysconf(_SC_CLK_TCK);
    got.system_s = (double)system / (double)sysconf(_SC_CLK_TCK);
    proc_read(of, "io", text, sizeof text);
    at = strstr(text, "\nwrite_bytes: ");
    if (at != NULL) got.write_bytes = strtoull(at + 14, NULL, 10);
    return got;
}

uint64_t server_rss(const server *of) {
    char text[8192];
    proc_read(of, "status", text, sizeof text);
    const char *at = strstr(text, "VmRSS:");
    return at == NULL ? 0 : strtoull(at + 6, NULL, 10) * 1024;
}

// ---- HTTP, one question at a time -----------------------------------------------------

static char *body;
static size_t body_cap;

unsigned http_get(const server *of, const char *path, uint64_t *took_ns,
                  size_t *body_len) {
    char request[512];
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons(of->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&address, sizeof address) != 0)
        die("cannot connect");
    int len = snprintf(request, sizeof request,
                       "GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n",
                       path, of->url);
    uint64_t began = clock_ns();
    if (send(fd, request, (size_t)len, MSG_NOSIGNAL) != len) die("cannot ask");
    size_t have = 0;
    for (;;) {
        if (body_cap - have < 65536) {
            body_cap = body_cap == 0 ? 1 << 20 : 2 * body_cap;
            body = realloc(body, body_cap);
            if (body == NULL) die("out of memory");
        }
        ssize_t got = recv(fd, body + have, body_cap - have - 1, 0);
        if (got < 0) die("GET %s: %s", path, strerror(errno));
        if (got == 0) break;
        have += (size_t)got;
    }
    if (took_ns != NULL) *took_ns = clock_ns() - began;
    body[have] = 0;
    (void)close(fd);
    const char *end = strstr(body, "\r\n\r\n");
    if (end == NULL) die("GET %s was not answered", path);
    if (body_len != NULL) *body_len = have - (size_t)(end + 4 - body);
    return (unsigned)atoi(body + strlen("HTTP/1.1 "));
}

const char *server_metrics(const server *of) {
    if (http_get(of, "/metrics", NULL, NULL) != 200) die("no /metrics");
    return body;
}

double server_counter(const char *metrics, const char *name) {
    char line[128];
    int len = snprintf(line, sizeof line, "\ntidemark_%s ", name);
    const char *at = strstr(metrics, line);
    return at == NULL ? 0 : atof(at + len);
}
