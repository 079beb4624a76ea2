/* doctor_names.h - which names the prompts of a pipeline mention, and which of them the pipeline itself
 * supplies: the rest must be columns. Pure.
 *
 * What is supplied is found by form, generously: outputs of blocks, globals, templates, files, inputs of
 * connections, and every name that stands in the file where names are given (var, bindings, init, with,
 * returns, args, save_to, quoted names in Python code). So a name is never called missing because of a form
 * of the language that this does not know; at worst a missing column goes unnoticed. */
#ifndef SDG_ACTORS_DOCTOR_DOCTOR_NAMES_H
#define SDG_ACTORS_DOCTOR_DOCTOR_NAMES_H

#include "core/mabel/pipeline/pipeline.h"

/* Objects name -> label of the first block that mentions it; templates are followed. Owned by the caller. */
value_t doctor_names_of_prompts(const pipeline_t *p);
value_t doctor_names_of_results(const pipeline_t *p); /* names in end blocks */
/* Object name -> null. Owned by the caller. yaml: the text of the file. */
value_t doctor_names_supplied(const pipeline_t *p, const char *yaml, size_t len);
/* Does `names` have this name, or what stands before its first '.' or '['? */
bool doctor_names_have(value_t names, const char *name);

#endif
