/* per_thread.c - see per_thread.h. The program has one key; its value is the thread's chain of kept
 * objects. */
#include "core/base/per_thread.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>

#include "core/base/error.h"

typedef struct kept {
    struct kept *before; /* kept earlier */
    void *object;
    void (*destroy)(void *object);
} kept_t;

static pthread_key_t chain_key;
static pthread_once_t chain_once = PTHREAD_ONCE_INIT;

/* The system has cleared the key's value before it calls this. So what a `destroy` keeps begins a new chain,
 * for which the system calls this again. */
static void chain_end(void *chain) {
    for (kept_t *last = chain, *before; last; last = before) {
        before = last->before;
        last->destroy(last->object);
        free(last);
    }
}

static void make_key(void) {
    int rc = pthread_key_create(&chain_key, chain_end);
    assert(rc == 0); /* the program has this one key; a thousand are allowed */
}

void per_thread_keep(void *object, void (*destroy)(void *object)) {
    pthread_once(&chain_once, make_key);
    kept_t *last = xmalloc(sizeof *last);
    *last = (kept_t){.before = pthread_getspecific(chain_key), .object = object, .destroy = destroy};
    pthread_setspecific(chain_key, last);
}
