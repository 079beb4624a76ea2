/* test_pyinterp.c - interpreter strings and the clean environment. */
#include <criterion/criterion.h>

#include <stdlib.h>
#include <string.h>

#include "core/python/pyinterp.h"

static bool accepts(const char *text, int major, int minor, int micro) {
    py_interp_t interp;
    err_t err;
    cr_assert_eq(py_interp_parse(text, &interp, &err), 0, "%s", err.text);
    return py_interp_accepts(&interp, (const int[]){major, minor, micro});
}

Test(pyinterp, a_constraint_is_checked) {
    cr_assert(accepts("python>=3.8", 3, 11, 2));
    cr_assert_not(accepts("python>=3.8", 3, 7, 9));
}

Test(pyinterp, all_operators) {
    static const struct {
        const char *text;
        int minor, micro;
        bool want;
    } cases[] = {
        {"python>3.10", 10, 5, false},
        {"python>3.10", 11, 0, true},
        {"python<=3.11", 11, 9, true},
        {"python<3.11", 11, 0, false},
        {"python==3.11", 11, 2, true},
        {"python==3.11.*", 11, 2, true},
        {"python==3.11.1", 11, 2, false},
        {"python!=3.11", 11, 0, false},
        {"python~=3.8", 11, 0, true},
        {"python~=3.8.2", 8, 1, false},
        {"python~=3.8.2", 9, 0, false},
        {"python >= 3.8 , < 3.12", 11, 0, true},
        {"python>=3.8,<3.11", 11, 0, false},
        {"3.10", 11, 0, true},
        {"3.12", 11, 0, false},
        {"python3", 1, 0, true},
        {NULL, 1, 0, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_eq(accepts(cases[i].text, 3, cases[i].minor, cases[i].micro), cases[i].want, "%s",
                     cases[i].text);
    cr_assert_not(accepts("python~=3.8", 4, 0, 0));
}

Test(pyinterp, the_program_is_what_stands_before_the_constraint) {
    static const char *const cases[][2] = {{NULL, "python3"},
                                           {"", "python3"},
                                           {"python", "python3"},
                                           {"python>=3", "python3"},
                                           {"python3.11", "python3.11"},
                                           {"/opt/my py/python >=3", "/opt/my py/python"}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        py_interp_t interp;
        cr_assert_eq(py_interp_parse(cases[i][0], &interp, NULL), 0);
        cr_assert_str_eq(interp.program, cases[i][1]);
    }
}

Test(pyinterp, nonsense_is_refused) {
    static const char *const cases[] = {"python>=",       "python>=x",     "python>=3.8 and more",
                                        "python=>3",      "python>=99999", "python>1,>1,>1,>1,>1",
                                        "python>=3.8.1.2"};
    py_interp_t interp;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        cr_assert_lt(py_interp_parse(cases[i], &interp, NULL), 0, "%s", cases[i]);
    char longer[400] = "";
    memset(longer, 'p', sizeof longer - 1);
    cr_assert_lt(py_interp_parse(longer, &interp, NULL), 0);
}

static const char *find(char **list, const char *name) {
    size_t n = strlen(name);
    for (; *list; list++)
        if (strncmp(*list, name, n) == 0 && (*list)[n] == '=') return *list + n + 1;
    return NULL;
}

Test(pyinterp, the_environment_holds_what_is_declared_and_little_else) {
    setenv("SECRET_API_KEY", "sk-1", 1);
    setenv("PIP_INDEX_URL", "https://user:pass@index.example", 1);
    setenv("PATH", "/usr/bin:/bin", 1);
    unsetenv("LANG");
    value_t declared = value_object(2);
    object_set_text(&declared, "FLAVOR", value_text("sweet"));
    object_set_text(&declared, "HOME", value_text("/declared"));
    object_set_text(&declared, "ON", value_bool(true));
    char **list = py_environ("/v", declared, false);
    cr_assert_null(find(list, "SECRET_API_KEY"));
    cr_assert_null(find(list, "PIP_INDEX_URL"));
    cr_assert_str_eq(find(list, "PATH"), "/v/bin:/usr/bin:/bin");
    cr_assert_str_eq(find(list, "VIRTUAL_ENV"), "/v");
    cr_assert_str_eq(find(list, "LANG"), "C.UTF-8");
    cr_assert_str_eq(find(list, "HOME"), "/declared");
    cr_assert_str_eq(find(list, "FLAVOR"), "sweet");
    cr_assert_str_eq(find(list, "ON"), "True");
    py_environ_free(list);
    list = py_environ(NULL, value_null(), true);
    cr_assert_not_null(find(list, "PIP_INDEX_URL"));
    cr_assert_null(find(list, "SECRET_API_KEY"));
    py_environ_free(list);
    value_free(declared);
}

Test(pyinterp, blanks_behind_a_constraint_change_nothing) {
    py_interp_t interp;
    cr_assert_eq(py_interp_parse("python>=3.8, <4 , ", &interp, NULL), 0);
    cr_assert_eq(interp.constraints, 2);
    cr_assert_eq(py_interp_parse("python>=3.8,", &interp, NULL), 0);
    cr_assert_eq(interp.constraints, 1);
    cr_assert_neq(py_interp_parse("python>=3.8,,", &interp, NULL), 0);
}

Test(pyinterp, programs_are_found_as_absolute_paths) {
    setenv("PATH", "/nowhere:/usr/bin:/bin", 1);
    char *sh = py_find_program("sh");
    cr_assert_str_eq(sh, "/usr/bin/sh");
    free(sh);
    cr_assert_null(py_find_program("no-such-program"));
    cr_assert_null(py_find_program("/etc/passwd"));
    cr_assert_null(py_venv_python("/nowhere"));
}
