// follower.c - see follower.h.
#include "follower.h"

static bool loose_has(const follower *f, uint64_t seq) {
    for (size_t i = 0; i < f->loose_count; i++) {
        if (f->loose[i] == seq) return true;
    }
    return false;
}

static void learn(follower *f, uint64_t seq) {
    if (seq <= f->cursor || loose_has(f, seq)) {
        print_error("# seq %" PRIu64 " again, cursor %" PRIu64 "\n", seq,
                    f->cursor);
    }
    T_TRUE(seq > f->cursor);
    T_TRUE(!loose_has(f, seq));
    T_TRUE(f->loose_count < COUNT(f->loose));
    f->loose[f->loose_count++] = seq;
}

static void cursor_set(follower *f, const json_t *frame) {
    f->cursor = (uint64_t)rig_int(frame, "version");
    snprintf(f->mark, sizeof f->mark, "%s", rig_text(frame, "mark"));
    size_t kept = 0;
    for (size_t k = 0; k < f->loose_count; k++) {
        if (f->loose[k] > f->cursor) f->loose[kept++] = f->loose[k];
    }
    f->loose_count = kept;
}

static void follow_saved(follower *f, const json_t *frame) {
    size_t i;
    json_t *one;
    uint64_t version = (uint64_t)rig_int(frame, "version");
    json_array_foreach(json_object_get(frame, "acks"), i, one) {
        // Acks alone are learned too, but may be told again by the backlog.
        if (strcmp(rig_text(one, "status"), "ok") == 0 && f->listening) {
            learn(f, (uint64_t)rig_int(one, "seq"));
        }
    }
    if (!f->listening) {
        T_EQ(rig_count(frame, "operations"), 0);
        return;
    }
    json_array_foreach(json_object_get(frame, "operations"), i, one) {
        learn(f, (uint64_t)rig_int(one, "seq"));
    }
    T_TRUE(version >= f->cursor);
    for (uint64_t seq = f->cursor + 1; seq <= version; seq++) {
        T_TRUE(loose_has(f, seq));
    }
    cursor_set(f, frame);
}

static void follow_operations(follower *f, const json_t *frame) {
    size_t i;
    json_t *one;
    uint64_t version = (uint64_t)rig_int(frame, "version");
    T_TRUE(f->listening);
    T_EQ(rig_int(frame, "from"), f->cursor + 1);
    json_array_foreach(json_object_get(frame, "operations"), i, one) {
        T_EQ(rig_int(one, "seq"), f->cursor + 1 + i);
    }
    T_EQ(f->cursor + rig_count(frame, "operations"), version);
    cursor_set(f, frame);
}

void follow(follower *f, const json_t *frame) {
    const char *type = rig_text(frame, "type");
    if (json_object_get(frame, "head") != NULL) {
        T_TRUE(rig_int(frame, "version") <= rig_int(frame, "head"));
    }
    if (strcmp(type, "SUBSCRIBED") == 0) {
        // What follows continues the cursor of the SUBSCRIBE, even if news came meanwhile.
        f->listening = true;
        f->loose_count = 0;
        f->part = 0;
        cursor_set(f, frame);
    } else if (strcmp(type, "BEHIND") == 0) {
        f->listening = false;
    } else if (strcmp(type, "SNAPSHOT") == 0) {
        T_TRUE(f->listening);
        T_EQ(rig_int(frame, "part"), f->part + 1);
        f->part++;
        if (f->part < rig_int(frame, "parts")) return;
        f->part = 0;
        f->loose_count = 0;
        cursor_set(f, frame);
    } else if (strcmp(type, "SAVED") == 0) {
        follow_saved(f, frame);
    } else if (strcmp(type, "OPERATIONS") == 0) {
        follow_operations(f, frame);
    }
}

void follow_all(follower *f, rig_conn *conn) {
    json_t *frame;
    while ((frame = rig_next(conn)) != NULL) {
        follow(f, frame);
    }
}
