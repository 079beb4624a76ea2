/* pyorder.h - a py_spawn_t as bytes: how a pool tells the spawner what to start. Pure. */
#ifndef SDG_PYTHON_PYORDER_H
#define SDG_PYTHON_PYORDER_H

#include "core/base/buf.h"
#include "core/python/pyspawn.h"

typedef struct py_order {
    py_spawn_t spawn; /* points into what follows */
    char *bytes;
    char **pointers;
} py_order_t;

/* Appends; `out` is full when it is too large. */
void py_order_write(const py_spawn_t *spawn, buf_t *out);
/* 0 or SDG_EPARSE. Takes a copy of the bytes. */
int py_order_read(const char *bytes, size_t len, py_order_t *order);
void py_order_free(py_order_t *order);

#endif
