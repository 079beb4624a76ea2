/* pyscratch.h - the folder that a confined host may write to, and its removal, whatever user code has left
 * there. */
#ifndef SDG_PYTHON_PYSCRATCH_H
#define SDG_PYTHON_PYSCRATCH_H

/* A new folder below `parent` that only its user may use, held by the descriptor *hold (leftovers.h). NULL:
 * it cannot be made (errno). The caller frees. */
char *py_scratch_make(const char *parent, int *hold);
/* Removes it with what is in it. Nobody may be using it. */
void py_scratch_remove(const char *path);

#endif
