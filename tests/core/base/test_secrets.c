/* What is hidden of a shown line, and what stays. */
#include <criterion/criterion.h>
#include <string.h>

#include "core/base/error.h"
#include "core/base/secrets.h"

static void expect(const char *text, const char *want) {
    char *shown = xstrdup(text);
    secrets_hide(shown, strlen(shown));
    cr_assert_str_eq(shown, want);
    free(shown);
}

Test(secrets, users_and_passwords_of_addresses) {
    expect("http://user:hunter2@host/v1", "http://************@host/v1");
    expect("found 'htp://user:hunter2@127.0.0.1:80'", "found 'htp://************@127.0.0.1:80'");
    expect("user:hunter2@host", "************@host");
    expect("base_url: \"user:hun/ter2@host\"", "base_url: \"*************@host\"");
    expect("{base_url: \"http://u:p@q@h/v1\", x: 1}", "{base_url: \"http://*****@h/v1\", x: 1}");
    expect("https://onlytoken@host/v1", "https://*********@host/v1");
    expect("https://u:p?a/b#c@host/v1", "https://*********@host/v1");
}

Test(secrets, parameters_and_settings_with_secret_names) {
    expect("https://h/v1?api-version=2&key=hunter2&x=1", "https://h/v1?api-version=2&key=*******&x=1");
    expect("?access_token=abc", "?access_token=***");
    expect("{api_key: hunter2, model: m}", "{api_key: *******, model: m}");
    expect("api_key: \"hunter2\\nInjected: yes\", headers: {X-Secret: hunter2}",
           "api_key: \"**********************\", headers: {X-Secret: *******}");
    expect("\"Authorization\": \"Bearer abc\"", "\"Authorization\": \"Bearer ***\"");
    expect("api_key: 'it is'", "api_key: '*****'");
    expect("x-api-key: a b c", "x-api-key: *****");
}

Test(secrets, everything_else_stays) {
    static const char *const same[] = {
        "api_key: ${ENV.OPENAI_API_KEY}",
        "max_tokens: 100, prompt_tokens=7",
        "prompts: [\"write to bob@example.com\"]",
        "https://host/v1/@user/models",
        "https://host:8443/@user/models",
        "{op: get, key: name}",
        "http://localhost:8000/v1",
        "",
        "@",
        ":",
        "api_key",
        "api_key:",
        "api_key: \"",
        "key=",
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++)
        expect(same[i], same[i]);
}

/* Any bytes, cut anywhere: nothing is read behind the end. */
Test(secrets, cut_at_every_byte) {
    const char *text =
        "{api_key: \"a\\\", base_url: 'http://u:p@h?token=x', \"Authorization\": \"Bearer y\"}";
    for (size_t len = 0; len <= strlen(text); len++) {
        char *cut = xstrndup(text, len);
        secrets_hide(cut, len);
        cr_assert_eq(strlen(cut), len);
        free(cut);
    }
}

Test(secrets, a_value_ends_with_its_line_and_a_reference_with_its_bracket) {
    expect("?token=abc\napi_key: hunter2", "?token=***\napi_key: *******");
    expect("api_key: ${ENV.KEY}", "api_key: ${ENV.KEY}");
    expect("{api_key: ${ENV.KEY}, model: m}", "{api_key: ${ENV.KEY}, model: m}");
    expect("api_key: \"${ENV.KEY}hunter2\"", "api_key: \"${ENV.KEY}*******\"");
    expect("api_key: ${ENV.KEY}hunter2, x: 1", "api_key: ${ENV.KEY}*******, x: 1");
    expect("?key=${ENV.KEY}&x=1", "?key=${ENV.KEY}&x=1");
    expect("api_key: \"${ENV.KEY hunter2", "api_key: \"*****************");
    expect("api_key: \"[hunter2", "api_key: \"********");
    expect("api_key: \"{x\napi_key: hunter2", "api_key: \"*******************");
    expect("secrets: {a: 1, api_key: hunter2}", "secrets: {a: 1, api_key: *******}");
}
