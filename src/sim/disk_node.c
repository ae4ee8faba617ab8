// disk_node.c - see disk_inside.h: a file's content, what is synced of it and what the
// dice leave of the rest.
#include <string.h>

#include "sim/disk_inside.h"

tm_disk_node *tm_disk_node_find(const tm_disk *disk, const char *name) {
    for (tm_disk_node *node = disk->nodes; node != NULL; node = node->next) {
        if (node->removed || node->gone || node->name == NULL) continue;
        if (strcmp(node->name, name) == 0) return node;
    }
    return NULL;
}

tm_disk_node *tm_disk_node_new(tm_disk *disk, const char *name) {
    tm_disk_node *node = tm_alloc_get(disk->alloc, sizeof *node);
    if (node == NULL) return NULL;
    if (name != NULL) {
        node->name_size = strlen(name) + 1;
        node->name = tm_alloc_get(disk->alloc, node->name_size);
        if (node->name == NULL) {
            tm_alloc_put(disk->alloc, node, sizeof *node);
            return NULL;
        }
        memcpy(node->name, name, node->name_size);
    }
    node->next = disk->nodes;
    disk->nodes = node;
    return node;
}

void tm_disk_node_free(tm_disk *disk, tm_disk_node *node) {
    const tm_alloc *alloc = disk->alloc;
    tm_alloc_put(alloc, node->now.ptr, node->now.cap);
    tm_alloc_put(alloc, node->synced.ptr, node->synced.cap);
    tm_alloc_put(alloc, node->log.ptr, node->log.cap);
    tm_alloc_put(alloc, node->changes, node->changes_cap * sizeof *node->changes);
    tm_alloc_put(alloc, node->name, node->name_size);
    tm_alloc_put(alloc, node, sizeof *node);
}

void tm_disk_node_settle(tm_disk *disk, tm_disk_node *node) {
    if (!node->gone || node->open > 0) return;
    tm_disk_node **at = &disk->nodes;
    while (*at != node) {
        at = &(*at)->next;
    }
    *at = node->next;
    tm_disk_node_free(disk, node);
}

// ---- changes ------------------------------------------------------------------------

static bool reserve(tm_disk *disk, tm_disk_bytes *bytes, size_t need) {
    if (need <= bytes->cap) return true;
    size_t cap = bytes->cap < 4096 ? 4096 : bytes->cap;
    while (cap < need) {
        cap *= 2;
    }
    uint8_t *ptr =
        disk->alloc->resize(disk->alloc->context, bytes->ptr, bytes->cap, cap);
    if (ptr == NULL) return false;
    bytes->ptr = ptr;
    bytes->cap = cap;
    return true;
}

static bool change_add(tm_disk *disk, tm_disk_node *node, tm_disk_change change) {
    if (node->changes_count == node->changes_cap) {
        size_t size = sizeof change,
               cap = node->changes_cap == 0 ? 16 : 2 * node->changes_cap;
        void *fresh = disk->alloc->resize(disk->alloc->context, node->changes,
                                          node->changes_cap * size, cap * size);
        if (fresh == NULL) return false;
        node->changes = fresh;
        node->changes_cap = cap;
    }
    node->changes[node->changes_count++] = change;
    return true;
}

// Bytes into content; what lay between its end and them becomes `fill`.
static void put(tm_disk_bytes *to, size_t at, const uint8_t *from, size_t len,
                int fill) {
    if (at > to->len) memset(to->ptr + to->len, fill, at - to->len);
    if (len > 0) memcpy(to->ptr + at, from, len);
    if (at + len > to->len) to->len = at + len;
}

bool tm_disk_node_write(tm_disk *disk, tm_disk_node *node, const void *from,
                        size_t len, size_t at) {
    if (!reserve(disk, &node->now, at + len) ||
        !reserve(disk, &node->synced, at + len) ||
        !reserve(disk, &node->log, node->log.len + len) ||
        !change_add(disk, node, (tm_disk_change){false, at, len, node->log.len})) {
        return false;
    }
    put(&node->log, node->log.len, from, len, 0);
    put(&node->now, at, from, len, 0);
    return true;
}

bool tm_disk_node_cut(tm_disk *disk, tm_disk_node *node, size_t to) {
    if (to >= node->now.len) return true;
    if (!change_add(disk, node, (tm_disk_change){true, to, 0, 0})) return false;
    node->now.len = to;
    return true;
}

static void changes_clear(tm_disk_node *node) {
    node->changes_count = 0;
    node->log.len = 0;
}

// A part of a change reaches the platter.
static void apply(tm_disk_node *node, const tm_disk_change *change, size_t from,
                  size_t to, int fill) {
    if (change->cut) {
        if (change->at < node->synced.len) node->synced.len = change->at;
    } else if (to > from) {
        put(&node->synced, change->at + from, node->log.ptr + change->from + from,
            to - from, fill);
    }
}

void tm_disk_node_sync(tm_disk *disk, tm_disk_node *node) {
    for (size_t i = 0; i < node->changes_count; i++) {
        apply(node, &node->changes[i], 0, node->changes[i].len, 0);
    }
    changes_clear(node);
    if (!node->named) tm_disk_names_sync(disk);
}

// ---- loss ---------------------------------------------------------------------------

// How a disk loses: all that was under way arrived, or nothing; in the order of writing
// up to some point; or any of it, by whole writes or by sectors.
typedef enum mood {
    MOOD_ALL,
    MOOD_NONE,
    MOOD_PREFIX,
    MOOD_WRITES,
    MOOD_SECTORS
} mood;

// One write, sector by sector. A lost one may have made the file longer all the same.
static void sectors_lose(tm_disk *disk, tm_disk_node *node,
                         const tm_disk_change *change, int fill) {
    size_t from = 0, lost = 0;
    while (from < change->len) {
        size_t to = from + disk->sector - (change->at + from) % disk->sector;
        if (to > change->len) to = change->len;
        uint64_t dice = tm_disk_roll(disk);
        if (dice % 8 < 5) {
            apply(node, change, from, to, fill);
        } else if (dice % 8 == 5) { // torn inside the sector
            apply(node, change, from, from + dice / 8 % (to - from), fill);
            lost++;
        } else {
            if (dice / 8 % 4 == 0)
                put(&node->synced, change->at + to, NULL, 0, fill);
            lost++;
        }
        from = to;
    }
    *(lost == 0 ? &disk->stats.kept : &disk->stats.torn) += 1;
}

// From one edge of a sector, or byte, to another.
static void write_tear(tm_disk *disk, tm_disk_node *node,
                       const tm_disk_change *change, int fill) {
    uint64_t dice = tm_disk_roll(disk);
    size_t unit = dice % 2 == 0 ? disk->sector : 1;
    size_t from = dice / 2 % (change->len / unit + 1) * unit,
           to = from + tm_disk_roll(disk) % (change->len / unit + 1) * unit;
    if (dice / 2 % 3 == 0) from = 0;
    apply(node, change, from, to < change->len ? to : change->len, fill);
    disk->stats.torn++;
}

void tm_disk_node_lose(tm_disk *disk, tm_disk_node *node) {
    if (node->changes_count == 0) return;
    uint64_t dice = tm_disk_roll(disk);
    mood how = (mood)(dice % 5);
    int fill = dice / 5 % 2 == 0 ? 0 : 0xa7; // what lies in a hole
    size_t end = tm_disk_roll(disk) % (node->changes_count + 1);
    for (size_t i = 0; i < node->changes_count; i++) {
        const tm_disk_change *change = &node->changes[i];
        bool whole = how == MOOD_ALL || (how == MOOD_PREFIX && i < end),
             none = how == MOOD_NONE || (how == MOOD_PREFIX && i > end);
        uint64_t kind = whole ? 0 : none ? 1 : tm_disk_roll(disk) % 3;
        if (kind > 0 && change->cut) kind = 1;
        if (how == MOOD_SECTORS && !change->cut) {
            sectors_lose(disk, node, change, fill);
        } else if (kind == 0) {
            apply(node, change, 0, change->len, fill);
            disk->stats.kept++;
        } else if (kind == 1) {
            disk->stats.lost++;
        } else {
            write_tear(disk, node, change, fill);
        }
    }
    changes_clear(node);
}

void tm_disk_node_reread(tm_disk_node *node) {
    node->now.len = node->synced.len;
    if (node->now.len > 0) memcpy(node->now.ptr, node->synced.ptr, node->now.len);
}

// ---- names --------------------------------------------------------------------------

static void removed_drop(tm_disk *disk, tm_disk_node *node) {
    node->gone = true;
    tm_disk_node_settle(disk, node);
}

void tm_disk_names_sync(tm_disk *disk) {
    for (tm_disk_node *node = disk->nodes, *next; node != NULL; node = next) {
        next = node->next;
        node->named = true;
        if (node->removed) removed_drop(disk, node);
    }
}

void tm_disk_names_lose(tm_disk *disk) {
    // Newest first: a name that was given anew and stays was taken from the older file.
    for (tm_disk_node *node = disk->nodes, *next; node != NULL; node = next) {
        next = node->next;
        if (node->gone) continue;
        bool stays = node->name != NULL && (node->named || !node->removed);
        if (stays && (!node->named || node->removed)) {
            stays = tm_disk_roll(disk) % 2 == 0;
        }
        if (stays && node->removed && tm_disk_node_find(disk, node->name) != NULL) {
            stays = false;
        }
        node->removed = !stays;
        node->named = stays;
        if (!stays) removed_drop(disk, node);
    }
}
