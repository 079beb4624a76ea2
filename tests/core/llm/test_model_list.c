/* Which models a server has. */
#include "core/llm/model_list.h"

#include <criterion/criterion.h>
#include <string.h>

Test(model_list, ids_of_an_answer_and_nothing_of_another) {
    static const char *const none[] = {"", "<html>", "[]", "{\"data\": 3}", "{\"error\": {}}"};
    static const char some[] =
        "{\"object\": \"list\", \"data\": [{\"id\": \"a\"}, 3, {\"id\": 4}, {\"id\": \"b\"}]}";
    for (size_t i = 0; i < sizeof none / sizeof *none; i++)
        cr_assert_eq(model_list_read(none[i], strlen(none[i])).kind, VALUE_NULL);
    value_t ids = model_list_read(some, strlen(some));
    cr_assert_eq(list_count(ids), 2);
    cr_assert_str_eq(list_peek(ids, 1).string->data, "b");
    value_free(ids);
}
