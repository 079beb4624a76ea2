/* pyasks.h - the questions of one running call that are not answered yet: their numbers, and how many bytes
 * were asked. Both are bounded, because user code decides how much it asks. Pure. */
#ifndef SDG_PYTHON_PYASKS_H
#define SDG_PYTHON_PYASKS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct py_ask {
    int64_t id; /* as the host counts them */
    size_t bytes;
} py_ask_t;

typedef struct py_asks {
    py_ask_t *items; /* owned */
    uint32_t count, cap;
    size_t bytes;
} py_asks_t; /* all zero: none */

/* NULL, or in words why the question cannot be asked: then nothing has changed. */
const char *py_asks_add(py_asks_t *asks, int64_t id, size_t bytes);
bool py_asks_take(py_asks_t *asks, int64_t id); /* it is answered, or given up; false: there is no such one */
void py_asks_clear(py_asks_t *asks);            /* none are left; gives the memory back */

#endif
