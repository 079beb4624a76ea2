/* flags_man.c - see flags.h: the man page sdg(1) in roff (macros of man(7)), made from the table. */
#include <string.h>

#include "actors/verbs/flags.h"

/* ---- roff */

/* Text in a line of roff: a backslash and a dash are written out, so that both can be copied. */
static void add_escaped(buf_t *out, const char *text, size_t len) {
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '\\')
            buf_adds(out, "\\e");
        else if (text[i] == '-')
            buf_adds(out, "\\-");
        else
            buf_addc(out, text[i]);
    }
}

/* One line of input for roff. \& at its beginning keeps a dot or an apostrophe there from being a request. */
static void add_line(buf_t *out, const char *text, size_t len) {
    if (len && (*text == '.' || *text == '\'')) buf_adds(out, "\\&");
    add_escaped(out, text, len);
    buf_addc(out, '\n');
}

/* Text with lines of its own: those that begin with a blank stay lines, an empty one is a new paragraph. */
static void add_text(buf_t *out, const char *text) {
    bool literal = false;
    for (const char *line = text; line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        bool indented = len && *line == ' ';
        if (indented != literal) buf_adds(out, indented ? ".PP\n.nf\n" : ".fi\n.PP\n");
        literal = indented;
        if (len == 0)
            buf_adds(out, ".PP\n");
        else
            add_line(out, line, len);
        line = end ? end + 1 : NULL;
    }
    if (literal) buf_adds(out, ".fi\n");
}

/* One flag as an entry of a list. */
static void add_flag(buf_t *out, const flag_row_t *row, bool japanese) {
    const char *text = japanese ? row->japanese : row->english;
    buf_adds(out, ".TP\n");
    if (row->letter) buf_addf(out, "\\fB\\-%c\\fR, ", row->letter);
    buf_adds(out, "\\fB\\-\\-");
    add_escaped(out, row->name, strlen(row->name));
    buf_adds(out, "\\fR");
    if (row->unit) {
        buf_adds(out, " \\fI");
        add_escaped(out, row->unit, strlen(row->unit));
        buf_adds(out, "\\fR");
    }
    buf_addc(out, '\n');
    add_line(out, text, strlen(text));
}

/* ---- the page */

/* The section of one verb: usage, text, flags. */
static void add_verb(buf_t *out, const verb_row_t *verb, bool japanese) {
    const char *usage = japanese ? verb->usage_japanese : verb->usage;
    buf_addf(out, ".SS \"sdg %s\"\n\\fBsdg %s\\fR ", verb->name, verb->name);
    add_escaped(out, usage, strlen(usage));
    buf_adds(out, "\n.PP\n");
    add_text(out, japanese ? verb->about_japanese : verb->about);
    for (int g = 0; g < GROUPS; g++) {
        for (size_t i = 0; i < flag_count; i++) {
            if ((int)flag_rows[i].group == g && flag_is_shown(&flag_rows[i], verb->verb))
                add_flag(out, &flag_rows[i], japanese);
        }
    }
    if (!verb->end) return;
    buf_adds(out, ".PP\n");
    add_text(out, japanese ? verb->end_japanese : verb->end);
}

static void add_list(buf_t *out, bool japanese) {
    for (size_t i = 0; i < verb_count; i++) {
        const char *text = japanese ? verb_rows[i].summary_japanese : verb_rows[i].summary;
        buf_addf(out, ".TP\n\\fBsdg %s\\fR\n", verb_rows[i].name);
        add_line(out, text, strlen(text));
    }
}

/* Variables of the environment that change what the program does. */
static void add_environment(buf_t *out, bool japanese) {
    static const char *const rows[][3] = {
        {"LC_ALL, LC_MESSAGES, LANG",
         "The first that is set is the language of progress and summary: Japanese when it "
         "begins with ja.",
         "最初に設定されているものが進捗と要約の言語を決める（ja で始まれば日本語）。"},
        {"http_proxy, https_proxy, all_proxy, no_proxy", "Proxies, as for curl.",
         "プロキシ（curl と同じ）。"},
        {"CURL_CA_BUNDLE, SSL_CERT_FILE, SSL_CERT_DIR", "Certificates that are trusted.", "信頼する証明書。"},
        {"OPENAI_API_KEY", "The key of models without api_key, for api.openai.com only.",
         "api_key のないモデルのキー（api.openai.com のみ）。"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        const char *text = rows[i][japanese ? 2 : 1];
        buf_addf(out, ".TP\n\\fB%s\\fR\n", rows[i][0]);
        add_line(out, text, strlen(text));
    }
}

/* How flags are written, in both languages. */
static const char *const writing[] = {"`sdg --yaml ...` is `sdg run --yaml ...`. A flag is written as --NAME "
                                      "VALUE or --NAME=VALUE. A file or an address "
                                      "that is given twice with different values is refused; of a setting "
                                      "the last one counts. -V, --version prints the "
                                      "version.",
                                      "`sdg --yaml ...` は `sdg run --yaml ...` と同じです。フラグは --NAME "
                                      "VALUE か --NAME=VALUE と書きます。ファイルやアドレスの"
                                      "フラグに異なる値を2回与えるとエラーになり、そのほかの設定は後のものが"
                                      "有効です。-V, --version でバージョンを表示します。"};

/* The whole page, verb after verb. */
void flags_man(bool japanese, buf_t *out) {
    static const char *const heads[][2] = {{"NAME", "名前"},
                                           {"SYNOPSIS", "書式"},
                                           {"DESCRIPTION", "説明"},
                                           {"COMMANDS", "コマンド"},
                                           {"ENVIRONMENT", "環境変数"}};
    buf_adds(out, ".\\\" Made by `sdg help --man` from the table of flags.\n"
                  ".TH SDG 1 \"\" \"sdg " SDG_VERSION "\" \"User Commands\"\n.nh\n.ad l\n");
    buf_addf(out, ".SH \"%s\"\nsdg \\- %s\n", heads[0][japanese],
             japanese ? "MABELパイプラインで合成データを大規模に生成する"
                      : "generate synthetic data with LLMs at scale, from MABEL pipelines");
    buf_addf(out, ".SH \"%s\"\n\\fBsdg\\fR \\fICOMMAND\\fR [%s]\n", heads[1][japanese],
             japanese ? "オプション" : "options");
    buf_addf(out, ".SH \"%s\"\n", heads[2][japanese]);
    add_list(out, japanese);
    buf_adds(out, ".PP\n");
    add_text(out, writing[japanese]);
    buf_addf(out, ".SH \"%s\"\n", heads[3][japanese]);
    for (size_t i = 0; i < verb_count; i++) {
        add_verb(out, &verb_rows[i], japanese);
    }
    buf_addf(out, ".SH \"%s\"\n", heads[4][japanese]);
    add_environment(out, japanese);
}
