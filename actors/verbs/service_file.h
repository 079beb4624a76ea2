/* service_file.h - the YAML file of --config: settings of `sdg serve`, `worker` and `run` that outlive a
 * command line.
 *
 * Its keys are the rows of the table of flags that have one (flags.h: `key`, "memory.limit"): libcyaml reads
 * the file by a schema made from these rows, and the values are held against the same bounds as the flags'.
 * One file serves all processes of a machine: a verb takes the keys of its flags and leaves the others alone.
 */
#ifndef SDG_ACTORS_VERBS_SERVICE_FILE_H
#define SDG_ACTORS_VERBS_SERVICE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/mabel/yaml/diag.h"

typedef struct service_file service_file_t;

/* Any bytes; NULL when they are no service file: then `problems` say where and what was expected. At most
 * SERVICE_FILE_BYTES_MAX bytes. Empty bytes are a file without keys. */
service_file_t *service_file_parse(const char *bytes, size_t len, diags_t *problems);

/* Reads a file. NULL: err has the first problem, "FILE:LINE:COLUMN: KEY: what was expected". */
service_file_t *service_file_open(const char *path, err_t *err);
void service_file_close(service_file_t **file);

/* The value of a key as a flag's value is written ("true" and "false" of a switch), or NULL; lives as long as
 * the file. */
const char *service_file_text(const service_file_t *file, const char *key);

/* All problems of a file with their lines, for people; true when there are none. */
bool service_file_check(const char *path, buf_t *out);

/* A file with every key, its meaning and a value; keys without a default are comments. */
void service_file_example(bool japanese, buf_t *out);

#endif
