// check_node.c - the engine that ships: core.wasm in a node process. See check_door.h.
//
// node is given a few lines on its command line, which take the runner
// (assets/check-runner.mjs) from the pipe and start it; the runner takes core.wasm from
// there too, and then answers calls. Both files are compiled into this program, so what
// is checked is what it serves. Nothing is written to a disk.
#include "cmd/check_door.h"

#include "cmd/host.h"
#include "net/assets.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static const char boot[] =
    "import{readSync}from'node:fs';import{gunzipSync}from'node:zlib';"
    "globalThis.read=n=>{const b=Buffer.alloc(n);for(let a=0;a<n;){"
    "const g=readSync(0,b,a,n-a);if(!g)process.exit(0);a+=g}return b};"
    "globalThis.file=()=>{const b=read(read(4).readUInt32LE(0));"
    "return b[0]?gunzipSync(b.subarray(1)):b.subarray(1)};"
    "await import('data:text/javascript;base64,'+file().toString('base64'))";

typedef struct node_door {
    tm_check_door door; // first: the two are one address
    pid_t pid;          // 0 = not started
    int to, from;       // pipes; -1 = closed
    tm_buf frames;      // to be sent
    size_t unread;      // answers that nobody waits for
    tm_buf reply;       // what came
    size_t at;          // taken so far
} node_door;

// ---- the process --------------------------------------------------------------------

static void pipes_close(node_door *node) {
    if (node->to >= 0) (void)close(node->to);
    if (node->from >= 0) (void)close(node->from);
    node->to = node->from = -1;
}

// Waits for node to end, which it does when its pipe is closed.
static int node_reap(node_door *node) {
    int status = 0;
    pipes_close(node);
    if (node->pid > 0) {
        while (waitpid(node->pid, &status, 0) < 0 && errno == EINTR) {
        }
    }
    node->pid = 0;
    return status;
}

// The pipe broke: says how node ended.
static tm_status node_lost(node_door *node) {
    if (node->pid <= 0) return TM_E_IO; // it was said already
    int status = node_reap(node);
    if (WIFSIGNALED(status)) {
        (void)snprintf(node->door.problem, sizeof node->door.problem,
                       "node was ended by signal %d", WTERMSIG(status));
    } else {
        (void)snprintf(node->door.problem, sizeof node->door.problem,
                       "node ended with exit code %d; `node --version` must be 20 "
                       "or newer",
                       WEXITSTATUS(status));
    }
    return TM_E_IO;
}

static bool cloexec(const int ends[2]) {
    return fcntl(ends[0], F_SETFD, FD_CLOEXEC) == 0 &&
           fcntl(ends[1], F_SETFD, FD_CLOEXEC) == 0;
}

static int node_spawn(node_door *node, const int down[2], const int up[2]) {
    char *argv[] = {(char *)"node", (char *)"--input-type=module", (char *)"-e",
                    (char *)boot, NULL};
    posix_spawn_file_actions_t actions;
    int error = posix_spawn_file_actions_init(&actions);
    if (error != 0) return error;
    error = posix_spawn_file_actions_adddup2(&actions, down[0], STDIN_FILENO);
    if (error == 0) {
        error = posix_spawn_file_actions_adddup2(&actions, up[1], STDOUT_FILENO);
    }
    if (error == 0) {
        error = posix_spawnp(&node->pid, "node", &actions, NULL, argv, environ);
    }
    (void)posix_spawn_file_actions_destroy(&actions);
    return error;
}

static int node_start(node_door *node) {
    int down[2], up[2];
    if (pipe(down) != 0) return errno;
    if (pipe(up) != 0) {
        int error = errno;
        (void)close(down[0]);
        (void)close(down[1]);
        return error;
    }
    node->to = down[1];
    node->from = up[0];
    int error = cloexec(down) && cloexec(up) ? 0 : errno;
    if (error == 0) error = node_spawn(node, down, up);
    (void)close(down[0]);
    (void)close(up[1]);
    return error;
}

// ---- frames -------------------------------------------------------------------------

static void put_u32(tm_buf *out, size_t value) {
    for (unsigned shift = 0; shift < 32; shift += 8) {
        tm_buf_byte(out, (uint8_t)(value >> shift & 0xff));
    }
}

static void put_u64(tm_buf *out, uint64_t value) {
    for (unsigned shift = 0; shift < 64; shift += 8) {
        tm_buf_byte(out, (uint8_t)(value >> shift & 0xff));
    }
}

static uint64_t get_le(const uint8_t *bytes, unsigned count) {
    uint64_t value = 0;
    while (count-- > 0) {
        value = value << 8 | bytes[count];
    }
    return value;
}

static tm_status frames_send(node_door *node) {
    if (node->frames.status != TM_OK) return node->frames.status;
    const uint8_t *at = node->frames.ptr;
    for (size_t left = node->frames.len; left > 0;) {
        ssize_t sent = write(node->to, at, left);
        if (sent < 0 && errno == EINTR) continue;
        if (sent <= 0) return node_lost(node);
        at += sent;
        left -= (size_t)sent;
    }
    tm_buf_reset(&node->frames);
    return TM_OK;
}

// Reads until `len` bytes are there that were not taken yet.
static tm_status reply_fill(node_door *node, size_t len) {
    if (node->at == node->reply.len) {
        tm_buf_reset(&node->reply);
        node->at = 0;
    }
    while (node->reply.len - node->at < len) {
        uint8_t *to = tm_buf_reserve(&node->reply, len + 4096);
        if (to == NULL) return TM_E_NOMEM;
        ssize_t got = read(node->from, to, node->reply.cap - node->reply.len);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return node_lost(node);
        node->reply.len += (size_t)got;
    }
    return TM_OK;
}

// One answer. A trap leaves the module in no known state: nothing is asked of it again.
static tm_status reply_take(node_door *node, int64_t *result, tm_span *out) {
    tm_status status = reply_fill(node, 13);
    if (status != TM_OK) return status;
    size_t len = 4 + (size_t)get_le(node->reply.ptr + node->at, 4);
    status = reply_fill(node, len);
    if (status != TM_OK) return status;
    const uint8_t *reply = node->reply.ptr + node->at;
    node->at += len;
    *out = (tm_span){reply + 13, len - 13};
    if (reply[4] != 0) {
        (void)snprintf(node->door.problem, sizeof node->door.problem,
                       "core.wasm stopped in %.*s",
                       (int)(out->len > 200 ? 200 : out->len),
                       (const char *)out->ptr);
        (void)node_reap(node);
        return TM_E_IO;
    }
    *result = (int64_t)get_le(reply + 5, 8);
    return TM_OK;
}

// The answers that nobody waited for, all of which must be good.
static tm_status unread_take(node_door *node) {
    tm_status given = TM_OK;
    for (; node->unread > 0; node->unread--) {
        int64_t result;
        tm_span out;
        tm_status status = reply_take(node, &result, &out);
        if (status != TM_OK) return status;
        if (result < 0) given = TM_E_STATE;
    }
    if (given != TM_OK) {
        (void)snprintf(node->door.problem, sizeof node->door.problem,
                       "a call of the door failed");
    }
    return given;
}

// ---- the calls ----------------------------------------------------------------------

static const struct call_form {
    const char *name, *parameters;
    char result;
} forms[] = {
#define X(name, parameters, result) {"tm_door_" #name, parameters, result},
    TM_DOOR_LIST(X)
#undef X
};

static void call_write(tm_buf *out, const struct call_form *form,
                       const uint64_t *args, tm_span in, bool wants_out) {
    size_t name_len = strlen(form->name), count = strlen(form->parameters);
    put_u32(out, 1 + name_len + 1 + 9 * count + 2 + in.len);
    tm_buf_byte(out, (uint8_t)name_len);
    tm_buf_text(out, form->name);
    tm_buf_byte(out, (uint8_t)count);
    for (size_t i = 0; i < count; i++) {
        tm_buf_byte(out, (uint8_t)form->parameters[i]);
        put_u64(out, args[i]);
    }
    tm_buf_byte(out, (uint8_t)form->result);
    tm_buf_byte(out, wants_out);
    tm_buf_put(out, in);
}

static tm_status node_call(tm_check_door *door, tm_check_fn call,
                           const uint64_t *args, tm_span in, bool wants_out,
                           int64_t *result, tm_span *out) {
    node_door *node = (node_door *)door;
    if (node->pid <= 0) return TM_E_IO;
    call_write(&node->frames, &forms[call], args, in, wants_out);
    if (result == NULL) {
        node->unread++;
        return node->frames.status;
    }
    tm_status status = frames_send(node);
    if (status == TM_OK) status = unread_take(node);
    return status == TM_OK ? reply_take(node, result, out) : status;
}

static void node_close(tm_check_door *door) {
    node_door *node = (node_door *)door;
    (void)node_reap(node);
    tm_buf_deinit(&node->frames);
    tm_buf_deinit(&node->reply);
    free(node);
}

// ---- starting -----------------------------------------------------------------------

static const tm_asset *asset_find(const char *path) {
    for (size_t i = 0; i < tm_assets_count; i++) {
        if (strcmp(tm_assets[i].path, path) == 0) return &tm_assets[i];
    }
    return NULL;
}

static void file_put(node_door *node, const tm_asset *asset) {
    put_u32(&node->frames, 1 + asset->len);
    tm_buf_byte(&node->frames, asset->gzipped);
    tm_buf_put(&node->frames, (tm_span){asset->bytes, asset->len});
}

static tm_status node_boot(node_door *node) {
    const tm_asset *runner = asset_find("/check-runner.mjs");
    const tm_asset *core = asset_find("/core.wasm");
    if (runner == NULL || core == NULL) {
        (void)snprintf(node->door.problem, sizeof node->door.problem,
                       "this tidemark was built without %s",
                       core == NULL ? "core.wasm" : "check-runner.mjs");
        return TM_E_STATE;
    }
    int error = node_start(node);
    if (error != 0) {
        (void)snprintf(node->door.problem, sizeof node->door.problem,
                       error == ENOENT
                           ? "node is not there: core.wasm is run by Node.js 20 or "
                             "newer, found by PATH"
                           : "node could not be started: %s",
                       strerror(error));
        return TM_E_IO;
    }
    int64_t result;
    tm_span out;
    file_put(node, runner);
    file_put(node, core);
    tm_status status = frames_send(node);
    return status == TM_OK ? reply_take(node, &result, &out) : status;
}

tm_status tm_check_node(tm_check_door **door, char problem[256]) {
    // A write to a node that died is an error of that write, not the end of us.
    (void)signal(SIGPIPE, SIG_IGN);
    node_door *node = calloc(1, sizeof *node);
    if (node == NULL) return TM_E_NOMEM;
    node->door.call = node_call;
    node->door.close = node_close;
    node->to = node->from = -1;
    node->frames.alloc = node->reply.alloc = &tm_host_alloc;
    tm_status status = node_boot(node);
    if (status != TM_OK) {
        memcpy(problem, node->door.problem, 256);
        node_close(&node->door);
        return status;
    }
    *door = &node->door;
    return TM_OK;
}
