/* flags_help.c - see flags.h: --help in two languages, made from the table. */
#include <stdio.h>
#include <string.h>

#include "actors/verbs/flags.h"
#include "core/base/text.h"

enum {
    LINE_CELLS = 112, /* a line of help in a terminal */
    LEFT_CELLS = 36,  /* width of the column with the flags; the text of a longer flag begins farther right */
};

static const char *const group_names[GROUPS][2] = {
    [GROUP_MAIN] = {"Main", "主なオプション"},
    [GROUP_ROWS] = {"Rows", "行"},
    [GROUP_RESUME] = {"Continuing a run", "再開"},
    [GROUP_SPEED] = {"Speed", "並行処理"},
    [GROUP_SCHEDULING] = {"Scheduling and memory", "スケジューリングとメモリ"},
    [GROUP_MOCK_LISTEN] = {"Where it listens", "待ち受け"},
    [GROUP_MOCK_ANSWER] = {"What it answers", "応答の内容"},
    [GROUP_MOCK_TIME] = {"How long it takes", "時間"},
    [GROUP_MOCK_FAULTS] = {"What goes wrong", "障害の注入"},
    [GROUP_SCREEN] = {"Screen", "表示"},
};

/* ---- lines */

/* Terminal cells of a character: 2 for Japanese, else 1. */
static size_t cells_of(uint32_t c) { return c >= 0x2E80 ? 2 : 1; }

/* Is a line broken well after `c`? Between Japanese characters anywhere, else at blanks. */
static bool breaks_after(uint32_t c, uint32_t next) {
    bool opening =
        next == 0x3001 || next == 0x3002 || next == 0xFF09 || next == 0xFF1A; /* 、。）： stay behind */
    return c == ' ' || (c >= 0x3001 && next >= 0x2E80 && c != 0xFF08 && !opening);
}

/* Bytes of the longest beginning of `text` that fits into `room` cells and ends where a line may be broken;
 * all of it when it fits or cannot be broken. */
static size_t fitting(const char *text, size_t len, size_t room) {
    size_t used = 0, good = 0;
    for (size_t at = 0; at < len;) {
        uint32_t c = 0, next = 0;
        size_t n = (size_t)utf8_decode(text + at, len - at, &c);
        if (n == 0) return len;
        used += cells_of(c);
        if (used > room + (c == ' ') && good) return good;
        at += n;
        if (at < len && utf8_decode(text + at, len - at, &next) && breaks_after(c, next)) good = at;
    }
    return len;
}

/* One line of text, broken into lines that go on under `indent` blanks; the first begins at cell `column`. */
static void add_wrapped(buf_t *out, const char *text, size_t len, size_t column, size_t indent) {
    while (len) {
        size_t n = fitting(text, len, LINE_CELLS - column), shown = n;
        while (shown && text[shown - 1] == ' ')
            shown--;
        buf_add(out, text, shown);
        text += n;
        len -= n;
        column = indent;
        if (len) buf_addf(out, "\n%*s", (int)indent, "");
    }
    buf_addc(out, '\n');
}

/* Text with lines of its own; one that begins with a blank stays as it is. */
static void add_text(buf_t *out, const char *text) {
    for (const char *line = text; line;) {
        const char *end = strchr(line, '\n');
        size_t len = end ? (size_t)(end - line) : strlen(line);
        if (len && *line == ' ')
            buf_addf(out, "%.*s\n", (int)len, line);
        else
            add_wrapped(out, line, len, 0, 0);
        line = end ? end + 1 : NULL;
    }
}

/* ---- a verb */

static void left_of(const flag_row_t *row, char *out, size_t size) {
    snprintf(out, size, "%s%c%s--%s%s%s", row->letter ? "-" : "", row->letter ? row->letter : ' ',
             row->letter ? ", " : "   ", row->name, row->unit ? " " : "", row->unit ? row->unit : "");
}

/* Cells of the column with the flags: as much as they need, at most LEFT_CELLS. */
static size_t left_cells(verb_t verb) {
    size_t cells = 0;
    for (size_t i = 0; i < flag_count; i++) {
        char left[96];
        left_of(&flag_rows[i], left, sizeof left);
        size_t len = strlen(left);
        if (flag_is_shown(&flag_rows[i], verb) && len > cells && len <= LEFT_CELLS) cells = len;
    }
    return cells;
}

static void help_row(const flag_row_t *row, size_t cells, bool japanese, buf_t *out) {
    char left[96];
    const char *text = japanese ? row->japanese : row->english;
    left_of(row, left, sizeof left);
    size_t used = strlen(left) > cells ? strlen(left) : cells, indent = cells + 4;
    buf_addf(out, "  %-*s  ", (int)cells, left);
    add_wrapped(out, text, strlen(text), used + 4, indent);
}

static bool has_texts(verb_t verb) {
    for (size_t i = 0; i < flag_count; i++) {
        if (flag_is_shown(&flag_rows[i], verb) && flag_rows[i].kind == FLAG_TEXT) return true;
    }
    return false;
}

/* The flags of a verb stand in groups; a group without a flag of it is left out. */
void flags_help(const verb_row_t *verb, bool japanese, buf_t *out) {
    size_t cells = left_cells(verb->verb);
    buf_addf(out, japanese ? "使い方: sdg %s %s\n\n" : "usage: sdg %s %s\n\n", verb->name,
             japanese ? verb->usage_japanese : verb->usage);
    add_text(out, japanese ? verb->about_japanese : verb->about);
    for (int g = 0; g < GROUPS; g++) {
        bool headed = false;
        for (size_t i = 0; i < flag_count; i++) {
            const flag_row_t *row = &flag_rows[i];
            if ((int)row->group != g || !flag_is_shown(row, verb->verb)) continue;
            if (!headed) buf_addf(out, "\n%s:\n", group_names[g][japanese]);
            headed = true;
            help_row(row, cells, japanese, out);
        }
    }
    if (has_texts(verb->verb))
        buf_adds(
            out,
            japanese
                ? "\nファイルやアドレスのフラグに異なる値を2回与えるとエラーになります。そのほかの設定は、"
                  "後のものが有効です。\n"
                : "\nA file or an address that is given twice with different values is refused; of a "
                  "setting the last one counts.\n");
    if (!verb->end) return;
    buf_addc(out, '\n');
    add_text(out, japanese ? verb->end_japanese : verb->end);
}

/* ---- the program */

/* The page of the program: its verbs, one line each. */
void flags_help_all(bool japanese, buf_t *out) {
    buf_adds(
        out,
        japanese
            ? "使い方: sdg COMMAND [オプション]\n\nMABELパイプラインで合成データを大規模に生成します。\n\n"
            : "usage: sdg COMMAND [options]\n\nGenerates synthetic data with LLMs at scale, from MABEL "
              "pipelines.\n\n");
    for (size_t i = 0; i < verb_count; i++) {
        buf_addf(out, "  %-10s %s\n", verb_rows[i].name,
                 japanese ? verb_rows[i].summary_japanese : verb_rows[i].summary);
    }
    buf_adds(
        out,
        japanese
            ? "\n`sdg help COMMAND` か `sdg COMMAND --help.ja` で詳細。`sdg --yaml ...` は `sdg run --yaml "
              "...` と同じです。-V, --version でバージョンを表示します。\n"
            : "\n`sdg help COMMAND` or `sdg COMMAND --help` tells more; `sdg --help.ja` in Japanese. "
              "`sdg --yaml ...` is\n`sdg run --yaml ...`. -V, --version prints the version.\n");
}
