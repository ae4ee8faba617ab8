// watch.c - see watch.h.
#include "watch.h"

static void reached(void *context, tm_point point) {
    watch *w = context;
    pthread_mutex_lock(&w->lock);
    w->counts[point]++;
    pthread_cond_broadcast(&w->changed);
    pthread_mutex_unlock(&w->lock);
    if (w->at != NULL) w->at(w, point);
}

void watch_begin(watch *w, tm_sqlite_tuning *tuning) {
    pthread_mutex_init(&w->lock, NULL);
    pthread_cond_init(&w->changed, NULL);
    tuning->point = reached;
    tuning->point_context = w;
}

void watch_end(watch *w) {
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
}

void watch_for(watch *w, tm_point point, uint64_t count) {
    pthread_mutex_lock(&w->lock);
    while (w->counts[point] < count) {
        pthread_cond_wait(&w->changed, &w->lock);
    }
    pthread_mutex_unlock(&w->lock);
}

uint64_t watch_count(watch *w, tm_point point) {
    pthread_mutex_lock(&w->lock);
    uint64_t count = w->counts[point];
    pthread_mutex_unlock(&w->lock);
    return count;
}
