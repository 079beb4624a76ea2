/* assets.c - see assets.h. */
#include "core/mabel/text/assets.h"

static const named_text_t *find_text(const named_text_t *texts, size_t count, str_t *name) {
    for (size_t i = 0; i < count; i++)
        if (str_equal(texts[i].name, name)) return &texts[i];
    return NULL;
}

const named_text_t *assets_template(const assets_t *assets, str_t *name) {
    return assets ? find_text(assets->templates, assets->template_count, name) : NULL;
}

const named_text_t *assets_file(const assets_t *assets, str_t *name) {
    return assets ? find_text(assets->files, assets->file_count, name) : NULL;
}
