/* model_list.c - see model_list.h. */
#include "core/llm/model_list.h"

#include "core/base/json.h"

value_t model_list_read(const char *body, size_t len) {
    value_t answer = value_null(), ids = value_null();
    if (json_parse_text(body, len, &answer, NULL) != SDG_OK || answer.kind != VALUE_OBJECT) {
        value_free(answer);
        return ids;
    }
    value_t data = object_get_peek(answer, "data", 4, NULL);
    if (data.kind == VALUE_LIST) ids = value_list(list_count(data));
    for (size_t i = 0; data.kind == VALUE_LIST && i < list_count(data); i++) {
        value_t model = list_peek(data, i),
                id = model.kind == VALUE_OBJECT ? object_get_peek(model, "id", 2, NULL) : value_null();
        if (id.kind == VALUE_STRING) list_push(&ids, value_ref(id));
    }
    value_free(answer);
    return ids;
}
