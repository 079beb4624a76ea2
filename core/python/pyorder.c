/* pyorder.c - see pyorder.h. A head of fixed size, then texts, each with its NUL: program, working folder,
 * arguments, environment, folders. */
#include "core/python/pyorder.h"

#include <stdlib.h>
#include <string.h>

/* LIST_COUNT_MAX: more than fit into an environment that the kernel takes. */
enum { LISTS = 3, LIST_COUNT_MAX = 1 << 20 };

typedef struct head {
    uint32_t count[LISTS]; /* arguments, environment, folders */
    bool has_work_dir, in_scratch, sandbox, network;
    py_files_t files;
    py_limits_t limits;
} head_t;

static void add_text(buf_t *out, const char *text) { buf_add(out, text, strlen(text) + 1); }

void py_order_write(const py_spawn_t *s, buf_t *out) {
    static char *const nothing[] = {NULL};
    char *const *lists[LISTS] = {s->argv, s->envp ? s->envp : nothing,
                                 s->folders ? (char *const *)s->folders : nothing};
    head_t head;
    memset(&head, 0, sizeof head); /* padding, too: these bytes leave the process */
    head.has_work_dir = s->work_dir != NULL;
    head.in_scratch = s->in_scratch;
    head.sandbox = s->sandbox;
    head.network = s->network;
    head.files = s->files;
    head.limits = s->limits;
    for (int i = 0; i < LISTS; i++) {
        while (lists[i][head.count[i]])
            head.count[i]++;
    }
    buf_add(out, &head, sizeof head);
    add_text(out, s->program);
    add_text(out, s->work_dir ? s->work_dir : "");
    for (int i = 0; i < LISTS; i++) {
        for (uint32_t k = 0; k < head.count[i]; k++)
            add_text(out, lists[i][k]);
    }
}

/* The next text, NULL when there is none. */
static char *next_text(char **at, const char *end) {
    char *text = *at, *nul = text < end ? memchr(text, '\0', (size_t)(end - text)) : NULL;
    if (nul) *at = nul + 1;
    return nul ? text : NULL;
}

int py_order_read(const char *bytes, size_t len, py_order_t *o) {
    head_t head;
    memset(o, 0, sizeof *o);
    if (len < sizeof head) return SDG_EPARSE;
    memcpy(&head, bytes, sizeof head);
    size_t all = LISTS;
    for (int i = 0; i < LISTS; i++) {
        if (head.count[i] > LIST_COUNT_MAX) return SDG_EPARSE;
        all += head.count[i];
    }
    o->bytes = xmalloc(len);
    memcpy(o->bytes, bytes, len);
    o->pointers = xcalloc(all, sizeof *o->pointers);
    char *at = o->bytes + sizeof head, *end = o->bytes + len;
    const char *program = next_text(&at, end), *work_dir = next_text(&at, end);
    char **list[LISTS], **p = o->pointers;
    bool whole = work_dir != NULL;
    for (int i = 0; i < LISTS; i++) {
        list[i] = p;
        for (uint32_t k = 0; k < head.count[i]; k++, p++)
            whole = (*p = next_text(&at, end)) && whole;
        *p++ = NULL;
    }
    if (!whole) {
        py_order_free(o);
        return SDG_EPARSE;
    }
    o->spawn = (py_spawn_t){.program = program,
                            .work_dir = head.has_work_dir ? work_dir : NULL,
                            .argv = list[0],
                            .envp = list[1],
                            .folders = (const char *const *)list[2],
                            .in_scratch = head.in_scratch,
                            .sandbox = head.sandbox,
                            .network = head.network,
                            .files = head.files,
                            .limits = head.limits};
    return 0;
}

void py_order_free(py_order_t *o) {
    free(o->bytes);
    free(o->pointers);
    memset(o, 0, sizeof *o);
}
