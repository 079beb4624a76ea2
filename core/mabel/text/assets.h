/* assets.h - named texts of a pipeline that placeholders may mention: templates[] (rendered in turn) and
 * files[] (inserted as they are). A scope borrows them; the pipeline owns them. */
#ifndef SDG_MABEL_TEXT_ASSETS_H
#define SDG_MABEL_TEXT_ASSETS_H

#include "core/mabel/text/template.h"

typedef struct named_text {
    str_t *name, *text;
    template_t *tpl; /* the text compiled; NULL for an entry of files[] */
} named_text_t;

typedef struct assets {
    named_text_t *templates;
    size_t template_count;
    named_text_t *files;
    size_t file_count;
} assets_t;

/* By name; borrowed; NULL: there is none. `assets` may be NULL. */
const named_text_t *assets_template(const assets_t *assets, str_t *name);
const named_text_t *assets_file(const assets_t *assets, str_t *name);

#endif
