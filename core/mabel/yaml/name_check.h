/* name_check.h - names and texts that YAML 1.1 turned into something else, and names that belong to sdg
 * itself.
 *
 * YAML 1.1 reads `yes` and `on` as true, `12:30` as 750, `0123` as 83 and `4.10` as 4.1. Where a text was
 * meant, the message says what it became and that quotes keep it. */
#ifndef SDG_MABEL_YAML_NAME_CHECK_H
#define SDG_MABEL_YAML_NAME_CHECK_H

#include "core/mabel/yaml/yaml.h"

/* A name that must be text. An error when the node is a scalar of another kind, and false. Lists, maps and
 * scalars that are left empty are not judged. */
bool name_check_text(diags_t *diags, const ynode_t *n, const ypath_t *path);

/* The same for what ends as a key of the result row: RESULT_LINE_ROW and RESULT_LINE_ERROR are errors, too.
 */
bool name_check_output(diags_t *diags, const ynode_t *n, const ypath_t *path);

/* Text is wanted, and a scalar of another kind goes on as it is: a warning. */
void name_check_warn(diags_t *diags, const ynode_t *n, const ypath_t *path);

/* A warning when this is a word that YAML 1.1 alone reads as something else: yes, no, on, off, 12:30. `true`
 * and `false` are booleans for everybody. */
void name_check_word(diags_t *diags, const ynode_t *n, const ypath_t *path);

/* A warning when this is a number that YAML 1.1 alone reads so and hardly anybody means: 12:30 (750), 0123
 * (83). */
void name_check_number(diags_t *diags, const ynode_t *n, const ypath_t *path);

/* A text that numbers and booleans may stand for. A warning when its text form is not what is written. */
void name_check_change(diags_t *diags, const ynode_t *n, const ypath_t *path);

#endif
