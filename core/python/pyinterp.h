/* pyinterp.h - which Python an environment means, and what environment variables it gets. It decides only,
 * and starts nothing.
 *
 * `interpreter` is a program ("python3.12", "/opt/py/bin/python3") with an optional constraint
 * ("python>=3.8", "python>=3.8,<4"); a version alone, "3.10", is python3 with ">=3.10". The constraint is
 * compared with the version that the started host reports.
 */
#ifndef SDG_PYTHON_PYINTERP_H
#define SDG_PYTHON_PYINTERP_H

#include <stdbool.h>
#include <stdint.h>

#include "core/base/error.h"
#include "core/base/value.h"
#include "core/python/limits.h"

typedef struct py_constraint {
    enum { PY_GE, PY_GT, PY_LE, PY_LT, PY_EQ, PY_NE, PY_COMPATIBLE } op;
    int version[3]; /* -1: not given */
} py_constraint_t;

typedef struct py_interp {
    char program[256]; /* as written, without the constraint; "python3" for nothing and for "python" */
    py_constraint_t constraint[PY_CONSTRAINTS_MAX];
    int constraints;
} py_interp_t;

int py_interp_parse(const char *text, py_interp_t *interp, err_t *err); /* text may be NULL */
bool py_interp_accepts(const py_interp_t *interp, const int version[3]);

/* The path from the root on. Symbolic links stay: the python of a virtual environment is one. The caller
 * frees. */
char *py_absolute(const char *path);
/* The absolute path of an executable: the file itself when the name has a slash, else from PATH. NULL if
 * there is none. The caller frees. */
char *py_find_program(const char *program);
/* <venv>/bin/python if it can be executed and the environment is complete; else NULL. The caller frees. */
char *py_venv_python(const char *venv);
/* Name of a file that lies in a virtual environment while that is not complete. */
extern const char PY_VENV_MARK[];

enum { PY_STAMP_BYTES = 33 }; /* of a stamp, with its NUL */
/* A short text that differs when the requirements, the files of requirements that they name, or the commands
 * do. Lists of texts. */
void py_stamp(value_t requirements, value_t pre_install, value_t post_install, char out[PY_STAMP_BYTES]);
/* Was the venv last installed into with this stamp? */
bool py_stamp_matches(const char *venv, const char *stamp);
/* Name of the file in a venv that holds its stamp. */
extern const char PY_STAMP_FILE[];

/* A NULL-terminated environment: our PATH (with the venv in front), HOME, LANG and TMPDIR, then `declared`
 * (an object, its values in text form). `installing` adds what pip needs to reach its index: proxy,
 * certificate and PIP_ variables. Free with py_environ_free. */
char **py_environ(const char *venv, value_t declared, bool installing);
void py_environ_free(char **list);

/* What an interpreter reads: where it and its virtual environment (NULL: none) are installed, what is
 * installed for its user alone, the folders of its code, and the Python modules that lie in `here` (NULL: no
 * more). Of a folder of code that is somebody's home it is the modules alone. Folders and files; free with
 * py_environ_free. */
char **py_interp_folders(const char *program, const char *venv, const char *const *code, const char *here);

#endif
