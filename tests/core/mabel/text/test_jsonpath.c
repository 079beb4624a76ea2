/* test_jsonpath.c - the examples of RFC 9535 and its rules about what is no query. */
#include "core/mabel/text/jsonpath.h"

#include "core/base/json.h"
#include "core/mabel/text/limits.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static value_t json(const char *text) {
    value_t v;
    err_t err;
    cr_assert_eq(json_parse_text(text, strlen(text), &v, &err), 0, "%s: %s", text, err.text);
    return v;
}

static void expect_hits(const char *document, const char *query, const char *want) {
    value_t root = json(document), hits;
    err_t err;
    jsonpath_t *path = jsonpath_compile(query, strlen(query), &err);
    cr_assert(path, "%s: %s", query, err.text);
    cr_assert_eq(jsonpath_select(path, root, &hits, &err), 0, "%s: %s", query, err.text);
    buf_t b;
    buf_init(&b, 1 << 20);
    json_write(&b, hits, JSON_COMPACT);
    cr_expect_str_eq(b.data, want, "%s gives %s, not %s", query, b.data, want);
    buf_free(&b);
    value_free(hits);
    value_free(root);
    jsonpath_destroy(&path);
}

static const char STORE[] =
    "{\"store\":{\"book\":[{\"category\":\"reference\",\"author\":\"Rees\",\"title\":\"Sayings\",\"price\":8."
    "95},"
    "{\"category\":\"fiction\",\"author\":\"Waugh\",\"title\":\"Sword\",\"price\":12.99},"
    "{\"category\":\"fiction\",\"author\":\"Melville\",\"title\":\"Moby\",\"isbn\":\"0-553\",\"price\":8.99},"
    "{\"category\":\"fiction\",\"author\":\"Tolkien\",\"title\":\"Rings\",\"isbn\":\"0-395\",\"price\":22.99}"
    "],"
    "\"bicycle\":{\"color\":\"red\",\"price\":399}}}";

Test(jsonpath, finds_a_member) { expect_hits("{\"a\":{\"b\":1}}", "$.a.b", "[1]"); }

Test(jsonpath, the_store_of_the_rfc) {
    expect_hits(STORE, "$.store.book[*].author", "[\"Rees\",\"Waugh\",\"Melville\",\"Tolkien\"]");
    expect_hits(STORE, "$..author", "[\"Rees\",\"Waugh\",\"Melville\",\"Tolkien\"]");
    expect_hits(STORE, "$.store..price", "[8.95,12.99,8.99,22.99,399]");
    expect_hits(STORE, "$..book[2].author", "[\"Melville\"]");
    expect_hits(STORE, "$..book[2].publisher", "[]");
    expect_hits(STORE, "$..book[-1].title", "[\"Rings\"]");
    expect_hits(STORE, "$..book[:2].title", "[\"Sayings\",\"Sword\"]");
    expect_hits(STORE, "$..book[0,1].title", "[\"Sayings\",\"Sword\"]");
    expect_hits(STORE, "$..book[?@.isbn].title", "[\"Moby\",\"Rings\"]");
    expect_hits(STORE, "$..book[?@.price<10].title", "[\"Sayings\",\"Moby\"]");
}

Test(jsonpath, selectors) {
    static const char abc[] = "[\"a\",\"b\",\"c\",\"d\",\"e\",\"f\",\"g\"]";
    expect_hits(abc, "$[1:3]", "[\"b\",\"c\"]");
    expect_hits(abc, "$[5:]", "[\"f\",\"g\"]");
    expect_hits(abc, "$[1:5:2]", "[\"b\",\"d\"]");
    expect_hits(abc, "$[5:1:-2]", "[\"f\",\"d\"]");
    expect_hits(abc, "$[::-1]", "[\"g\",\"f\",\"e\",\"d\",\"c\",\"b\",\"a\"]");
    expect_hits(abc, "$[::0]", "[]");
    expect_hits(abc, "$[-2:]", "[\"f\",\"g\"]");
    expect_hits(abc, "$[ 0 , -1 , 9 ]", "[\"a\",\"g\"]");
    expect_hits(abc, "$[0:9007199254740991:9007199254740991]", "[\"a\"]");
    expect_hits(abc, "$[-9007199254740991:9007199254740991:3]", "[\"a\",\"d\",\"g\"]");
    expect_hits("{\"o\":{\"j j\":{\"k.k\":3}},\"'\":{\"@\":2}}", "$.o['j j']['k.k']", "[3]");
    expect_hits("{\"o\":{\"j j\":{\"k.k\":3}},\"'\":{\"@\":2}}", "$[\"'\"][\"@\"]", "[2]");
    expect_hits("{\"\\u263a\":1,\"\\n\":2,\"\\ud834\\udd1e\":3}", "$['\\u263A','\\n','\\uD834\\uDD1E']",
                "[1,2,3]");
    expect_hits("{\"\xe6\x97\xa5\":1}", "$.\xe6\x97\xa5", "[1]");
    expect_hits("{\"a\":[5,3],\"b\":{\"c\":1}}", "$.*", "[[5,3],{\"c\":1}]");
    expect_hits("{\"a\":null}", "$.a", "[null]");
    expect_hits("{\"a\":null}", "$.a[0]", "[]");
    expect_hits("5", "$", "[5]");
}

Test(jsonpath, descendants_come_in_document_order) {
    static const char doc[] = "{\"o\":{\"j\":1,\"k\":2},\"a\":[5,3,[{\"j\":4},{\"k\":6}]]}";
    expect_hits(doc, "$..j", "[1,4]");
    expect_hits(doc, "$..[0]", "[5,{\"j\":4}]");
    expect_hits(doc, "$..o", "[{\"j\":1,\"k\":2}]");
    expect_hits(doc, "$.a..[0,1]", "[5,3,{\"j\":4},{\"k\":6}]");
    expect_hits("[[[1]],2]", "$..*", "[[[1]],2,[1],1]");
}

Test(jsonpath, a_name_may_hold_a_hyphen) {
    expect_hits("{\"my-key\":{\"a-b-2\":7}}", "$.my-key.a-b-2", "[7]");
    expect_hits("{\"my-key\":1,\"my\":{\"key\":2}}", "$..my-key", "[1]");
    expect_hits("[{\"my-key\":-1},{\"my-key\":1}]", "$[?@.my-key==-1]", "[{\"my-key\":-1}]");
    expect_hits("{\"my-key\":5}", "my-key", "[5]");
}

Test(jsonpath, filters) {
    static const char doc[] = "{\"a\":[3,5,1,2,4,6,{\"b\":\"j\"},{\"b\":\"k\"},{\"b\":{}},{\"b\":\"kilo\"}],"
                              "\"o\":{\"p\":1,\"q\":2,\"r\":3},\"e\":\"f\"}";
    expect_hits(doc, "$.a[?@.b == 'kilo']", "[{\"b\":\"kilo\"}]");
    expect_hits(doc, "$.a[?(@.b == 'kilo')]", "[{\"b\":\"kilo\"}]");
    expect_hits(doc, "$.a[?@>3.5]", "[5,4,6]");
    expect_hits(doc, "$.a[?@.b]", "[{\"b\":\"j\"},{\"b\":\"k\"},{\"b\":{}},{\"b\":\"kilo\"}]");
    expect_hits(doc, "$.a[?@<2 || @.b == \"k\"]", "[1,{\"b\":\"k\"}]");
    expect_hits(doc, "$.a[?match(@.b, \"[jk]\")]", "[{\"b\":\"j\"},{\"b\":\"k\"}]");
    expect_hits(doc, "$.a[?search(@.b, '[jk]')]", "[{\"b\":\"j\"},{\"b\":\"k\"},{\"b\":\"kilo\"}]");
    expect_hits(doc, "$.o[?@>1 && @<4]", "[2,3]");
    expect_hits(doc, "$.a[?!@.b && @ >= 5]", "[5,6]");
    expect_hits(doc, "$.a[?!(@.b || @ < 5)]", "[5,6]");
    expect_hits(doc, "$.a[?@.b == $.x]", "[3,5,1,2,4,6]");
    expect_hits(doc, "$.a[?@ == @]", "[3,5,1,2,4,6,{\"b\":\"j\"},{\"b\":\"k\"},{\"b\":{}},{\"b\":\"kilo\"}]");
    expect_hits(
        doc, "$[?@.*]",
        "[[3,5,1,2,4,6,{\"b\":\"j\"},{\"b\":\"k\"},{\"b\":{}},{\"b\":\"kilo\"}],{\"p\":1,\"q\":2,\"r\":3}]");
    static const char ids[] = "[9223372036854775807,12345678901234567890,12345678901234567891,1e30,-1]";
    expect_hits(ids, "$[?@ == 12345678901234567890]", "[12345678901234567890]");
    expect_hits(ids, "$[?@ > 12345678901234567890]", "[12345678901234567891,1e+30]");
    expect_hits(ids, "$[?@ <= 9223372036854775808]", "[9223372036854775807,-1]");
    expect_hits(ids, "$[?@ < -12345678901234567890]", "[]");
    expect_hits("[{\"t\":true},{\"t\":1},{\"t\":null},{\"t\":\"1\"},{}]", "$[?@.t == true]",
                "[{\"t\":true}]");
    expect_hits("[{\"t\":true},{\"t\":1},{\"t\":null},{\"t\":\"1\"},{}]", "$[?@.t == null]",
                "[{\"t\":null}]");
    expect_hits("[{\"t\":1},{\"t\":1.0},{\"t\":10}]", "$[?@.t == 1e0]", "[{\"t\":1},{\"t\":1.0}]");
    expect_hits("[{\"a\":[1,2]},{\"a\":[1]}]", "$[?@.a == $[1].a]", "[{\"a\":[1]}]");
    expect_hits("[true,1]", "$[?@ <= true]", "[true]");
}

Test(jsonpath, functions) {
    expect_hits("[\"ab\",[1,2,3],{\"k\":1},5,\"\xc3\xa9\xf0\x9f\x98\x80\"]", "$[?length(@) == 2]",
                "[\"ab\",\"\xc3\xa9\xf0\x9f\x98\x80\"]");
    expect_hits("[[1,2],[1]]", "$[?count(@.*) > 1]", "[[1,2]]");
    expect_hits("[{\"a\":{\"c\":\"x\"}},{\"c\":\"y\"},{\"a\":{\"c\":1},\"b\":{\"c\":\"x\"}}]",
                "$[?value(@..c) == 'x']", "[{\"a\":{\"c\":\"x\"}}]");
    expect_hits("[\"a\\rb\",\"axb\"]", "$[?match(@, 'a.b')]", "[\"axb\"]");
    expect_hits("[\"ab\",\"b\"]", "$[?match(@, 'a|ab')]", "[\"ab\"]");
    expect_hits("[{\"t\":\"x1\",\"p\":\"\\\\d\"},{\"t\":\"x\",\"p\":\"\\\\d\"},{\"t\":\"x\",\"p\":\"(\"}]",
                "$[?search(@.t, @.p)].t", "[\"x1\"]");
}

Test(jsonpath, a_missing_dollar_is_tolerated) {
    expect_hits("{\"score\":3,\"a\":[{\"b\":1}]}", "score", "[3]");
    expect_hits("{\"score\":3,\"a\":[{\"b\":1}]}", "a[0].b", "[1]");
    expect_hits("{\"score\":3,\"a\":[{\"b\":1}]}", ".a[0].b", "[1]");
    expect_hits("[7]", "[0]", "[7]");
    expect_hits("{\"a\":1}", " $.a\n", "[1]");
}

Test(jsonpath, what_is_no_query) {
    static const char *const bad[] = {"",
                                      "$.",
                                      "$..",
                                      "$[",
                                      "$[]",
                                      "$[1",
                                      "$[01]",
                                      "$[-0]",
                                      "$[1:2:3:4]",
                                      "$['a]",
                                      "$['\\x']",
                                      "$['\\uD800']",
                                      "$['\\\"']",
                                      "$.1a",
                                      "$. a",
                                      "$.a b",
                                      "$[?]",
                                      "$[?@.a ==]",
                                      "$[?1]",
                                      "$[?true]",
                                      "$[?@.a == @.*]",
                                      "$[?length(@)]",
                                      "$[?count(1) > 1]",
                                      "$[?match(@.a)]",
                                      "$[?match(@, 'x') == true]",
                                      "$[?nope(@)]",
                                      "$[?length (@) > 1]",
                                      "$[?!@.a == 1]",
                                      "$[?@.a &&]",
                                      "$[?(@.a]",
                                      "$[9007199254740992]",
                                      "$[?@.a == 01]",
                                      "$[?@.a == 1.]",
                                      "$[?@.a == .5]",
                                      "$[?search(@, '(')]",
                                      "$.-b",
                                      "$[?length(@.*) > 1]",
                                      "$[\"\t\"]",
                                      "$$",
                                      "@.a",
                                      "$[?@ == 'a\\']"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        err_t err = {0};
        jsonpath_t *path = jsonpath_compile(bad[i], strlen(bad[i]), &err);
        cr_expect_null(path, "%s was accepted", bad[i]);
        cr_expect(err.code < 0 && err.text[0], "%s", bad[i]);
        jsonpath_destroy(&path);
    }
    err_t err;
    cr_expect_null(jsonpath_compile("$.a[x]", 6, &err));
    cr_expect(strstr(err.text, "character 5"), "%s", err.text);
}

static char *repeat(const char *head, const char *part, size_t times) {
    buf_t b;
    buf_init(&b, 1 << 20);
    buf_adds(&b, head);
    for (size_t i = 0; i < times; i++)
        buf_adds(&b, part);
    return buf_take(&b, NULL);
}

Test(jsonpath, queries_are_bounded) {
    static const struct {
        const char *head, *part;
        size_t times;
    } cases[] = {{"$", ".a", JSONPATH_SEGMENTS_MAX + 1},
                 {"$", "[?@", 100},
                 {"$[?", "(", 10000},
                 {"$[?@", "&&@", 1000},
                 {"$[?", "length(", 5000}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char *query = repeat(cases[i].head, cases[i].part, cases[i].times);
        err_t err;
        cr_expect_null(jsonpath_compile(query, strlen(query), &err), "%s...", cases[i].head);
        cr_expect(strstr(err.text, "too"), "%s", err.text);
        free(query);
    }
}

Test(jsonpath, work_is_bounded) {
    char *items = repeat("[0", ",[1,[2]]", 3000), *document = repeat(items, "]", 1);
    value_t root = json(document), hits;
    err_t err;
    static const char query[] = "$..[?count($..*) > 1]";
    jsonpath_t *path = jsonpath_compile(query, strlen(query), &err);
    cr_expect_eq(jsonpath_select(path, root, &hits, &err), SDG_ELIMIT);
    cr_expect_eq(hits.kind, VALUE_NULL);
    jsonpath_destroy(&path);
    value_free(root);
    free(items);
    free(document);
}

Test(jsonpath, a_deep_value_is_refused_not_a_crash) {
    value_t v = value_list(0);
    for (int i = 0; i < 100000; i++) {
        value_t outer = value_list(1);
        list_push(&outer, v);
        v = outer;
    }
    value_t hits;
    err_t err;
    jsonpath_t *path = jsonpath_compile("$..a", 4, &err);
    cr_expect_eq(jsonpath_select(path, v, &hits, &err), SDG_ELIMIT);
    jsonpath_destroy(&path);
    value_free(v);
}
