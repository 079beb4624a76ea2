/* flags_complete.c - see flags.h: completion scripts of three shells, made from the table.
 *
 * Each script knows the verbs, the flags of each, and what a flag's value is: a file, a folder, one of some
 * words, or anything (nothing is offered). */
#include <string.h>

#include "actors/verbs/flags.h"

static bool takes(const flag_row_t *row, const char *unit) {
    return row->unit && strcmp(row->unit, unit) == 0;
}

static void add_choices(buf_t *out, const flag_row_t *row) {
    for (const flag_choice_t *c = row->choices; c && c->name; c++) {
        buf_addf(out, "%s%s", c == row->choices ? "" : " ", c->name);
    }
}

/* Words that may stand first behind a verb: fixed ones, or the names of the verbs behind `help`. */
static void add_words(buf_t *out, const verb_row_t *verb) {
    for (size_t i = 0; verb->verb == VERB_HELP && i < verb_count; i++) {
        buf_addf(out, "%s%s", i ? " " : "", verb_rows[i].name);
    }
    for (const char *const *w = verb->first_words; w && *w; w++) {
        buf_addf(out, "%s%s", w == verb->first_words ? "" : " ", *w);
    }
}

/* Are files among the words that may stand behind a verb? */
static bool takes_files(const verb_row_t *verb) { return strstr(verb->usage, "FILE") && verb->words_max; }

/* ---- bash */

/* The arms of `case "$verb $previous"`: what the value of a flag is. */
static void bash_values(buf_t *out, const verb_row_t *verb) {
    for (size_t i = 0; i < flag_count; i++) {
        const flag_row_t *row = &flag_rows[i];
        if (!flag_is_shown(row, verb->verb) || !flag_has_value(row)) continue;
        buf_addf(out, "    '%s --%s'", verb->name, row->name);
        if (row->letter) buf_addf(out, " | '%s -%c'", verb->name, row->letter);
        if (row->choices) {
            buf_adds(out, ") words='");
            add_choices(out, row);
            buf_adds(out, "' ;;\n");
        } else {
            buf_addf(out, ") kind=%s ;;\n", takes(row, "FILE") ? "file" : takes(row, "DIR") ? "dir" : "none");
        }
    }
}

static void bash_words(buf_t *out, const verb_row_t *verb) {
    buf_addf(out, "    %s) words='", verb->name);
    for (size_t i = 0; i < flag_count; i++) {
        const flag_row_t *row = &flag_rows[i];
        if (!flag_is_shown(row, verb->verb)) continue;
        buf_addf(out, "--%s ", row->name);
        if (row->letter) buf_addf(out, "-%c ", row->letter);
    }
    add_words(out, verb);
    buf_addf(out, "'%s ;;\n", takes_files(verb) ? " kind=file" : "");
}

/* The script of bash: one function that looks at the verb and at the word before the cursor. */
static void complete_bash(buf_t *out) {
    buf_adds(out, "# Completion of sdg for bash, made by `sdg completion bash`.\n"
                  "_sdg() {\n"
                  "  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]}\n"
                  "  local verb=${COMP_WORDS[1]} words='' kind=''\n"
                  "  # bash makes three words of --name=value.\n"
                  "  [ \"$current\" != = ] || current=''\n"
                  "  [ \"$previous\" != = ] || previous=${COMP_WORDS[COMP_CWORD-2]}\n"
                  "  COMPREPLY=()\n"
                  "  if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
                  "    COMPREPLY=($(compgen -W '");
    for (size_t i = 0; i < verb_count; i++) {
        buf_addf(out, "%s ", verb_rows[i].name);
    }
    buf_adds(out, "--help --help.ja --version' -- \"$current\"))\n"
                  "    return\n"
                  "  fi\n"
                  "  case \"$verb\" in -*) verb=run ;; esac\n"
                  "  case \"$verb $previous\" in\n");
    for (size_t i = 0; i < verb_count; i++) {
        bash_values(out, &verb_rows[i]);
    }
    buf_adds(out, "    *) case \"$verb\" in\n");
    for (size_t i = 0; i < verb_count; i++) {
        bash_words(out, &verb_rows[i]);
    }
    buf_adds(out, "    esac ;;\n"
                  "  esac\n"
                  "  [ -z \"$words\" ] || COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
                  "  case \"$kind$current\" in\n"
                  "    file-*) ;;\n"
                  "    file*) compopt -o filenames 2>/dev/null; mapfile -O ${#COMPREPLY[@]} -t COMPREPLY < "
                  "<(compgen -f -- "
                  "\"$current\") ;;\n"
                  "    dir*) compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -d -- "
                  "\"$current\") ;;\n"
                  "  esac\n"
                  "}\n"
                  "complete -F _sdg sdg\n");
}

/* ---- zsh */

/* Text inside '...[...]': quotes end the word, brackets and colons mean something to _arguments. */
static void zsh_text(buf_t *out, const char *text) {
    for (const char *c = text; *c; c++) {
        if (*c == '\'')
            buf_adds(out, "'\\''");
        else if (strchr("[]:\\", *c))
            buf_addf(out, "\\%c", *c);
        else
            buf_addc(out, *c);
    }
}

/* How zsh completes the value of this flag. */
static void zsh_value(buf_t *out, const flag_row_t *row) {
    buf_addc(out, ':');
    zsh_text(out, row->unit);
    buf_addc(out, ':');
    if (row->choices) {
        buf_addc(out, '(');
        add_choices(out, row);
        buf_addc(out, ')');
    } else if (takes(row, "FILE")) {
        buf_adds(out, "_files");
    } else if (takes(row, "DIR")) {
        buf_adds(out, "_files -/");
    } else {
        buf_addc(out, ' ');
    }
}

/* One row as a specification of _arguments: '--name=[text]:UNIT:action', for each of its spellings. */
static void zsh_flag(buf_t *out, const flag_row_t *row) {
    for (int letter = 0; letter < (row->letter ? 2 : 1); letter++) {
        buf_addf(out, "      '%s", row->traits & FLAG_REPEATABLE ? "*" : "");
        if (letter)
            buf_addf(out, "-%c%s[", row->letter, flag_has_value(row) ? "+" : "");
        else
            buf_addf(out, "--%s%s[", row->name, flag_has_value(row) ? "=" : "");
        zsh_text(out, row->english);
        buf_addc(out, ']');
        if (flag_has_value(row)) zsh_value(out, row);
        buf_adds(out, "' \\\n");
    }
}

static void zsh_verb(buf_t *out, const verb_row_t *verb) {
    buf_addf(out, "    %s) _arguments -s \\\n", verb->name);
    for (size_t i = 0; i < flag_count; i++) {
        if (flag_is_shown(&flag_rows[i], verb->verb)) zsh_flag(out, &flag_rows[i]);
    }
    if (verb->first_words || verb->verb == VERB_HELP) {
        buf_adds(out, "      '1:word:(");
        add_words(out, verb);
        buf_adds(out, ")' \\\n");
    }
    if (takes_files(verb)) buf_adds(out, "      '*:file:_files' \\\n");
    buf_adds(out, "      ;;\n");
}

/* The script of zsh: a list of verbs, then the specifications of the flags of each. */
static void complete_zsh(buf_t *out) {
    buf_adds(out, "#compdef sdg\n# Completion of sdg for zsh, made by `sdg completion zsh`.\n"
                  "_sdg() {\n"
                  "  local verb=$words[2]\n"
                  "  if (( CURRENT == 2 )); then\n"
                  "    local -a verbs=(\n");
    for (size_t i = 0; i < verb_count; i++) {
        buf_addf(out, "      '%s:", verb_rows[i].name);
        zsh_text(out, verb_rows[i].summary);
        buf_adds(out, "'\n");
    }
    buf_adds(out, "    )\n"
                  "    _describe command verbs\n"
                  "    return\n"
                  "  fi\n"
                  "  if [[ $verb == -* ]]; then\n"
                  "    verb=run\n"
                  "  else\n"
                  "    shift words\n"
                  "    (( CURRENT-- ))\n"
                  "  fi\n"
                  "  case $verb in\n");
    for (size_t i = 0; i < verb_count; i++) {
        zsh_verb(out, &verb_rows[i]);
    }
    buf_adds(out, "  esac\n"
                  "}\n"
                  "if [ \"$funcstack[1]\" = _sdg ]; then _sdg \"$@\"; else compdef _sdg sdg; fi\n");
}

/* ---- fish */

/* Text inside '...' of fish: quotes and backslashes are escaped. */
static void fish_text(buf_t *out, const char *text) {
    for (const char *c = text; *c; c++) {
        buf_addf(out, *c == '\'' || *c == '\\' ? "\\%c" : "%c", *c);
    }
}

/* One line of the script of fish for one flag of one verb. */
static void fish_flag(buf_t *out, const verb_row_t *verb, const flag_row_t *row) {
    buf_addf(out, "complete -c sdg -n '__fish_seen_subcommand_from %s' -l %s", verb->name, row->name);
    if (row->letter) buf_addf(out, " -s %c", row->letter);
    if (row->choices) {
        buf_adds(out, " -x -a '");
        add_choices(out, row);
        buf_addc(out, '\'');
    } else if (takes(row, "FILE")) {
        buf_adds(out, " -r -F");
    } else if (takes(row, "DIR")) {
        buf_adds(out, " -x -a '(__fish_complete_directories)'");
    } else if (flag_has_value(row)) {
        buf_adds(out, " -x");
    }
    buf_adds(out, " -d '");
    fish_text(out, row->english);
    buf_adds(out, "'\n");
}

/* The lines of the script of fish for one verb. */
static void fish_verb(buf_t *out, const verb_row_t *verb) {
    buf_addf(out, "complete -c sdg -n __fish_use_subcommand -a %s -d '", verb->name);
    fish_text(out, verb->summary);
    buf_adds(out, "'\n");
    for (size_t i = 0; i < flag_count; i++) {
        if (flag_is_shown(&flag_rows[i], verb->verb)) fish_flag(out, verb, &flag_rows[i]);
    }
    if (verb->first_words || verb->verb == VERB_HELP) {
        buf_addf(out, "complete -c sdg -n '__fish_seen_subcommand_from %s' -a '", verb->name);
        add_words(out, verb);
        buf_adds(out, "'\n");
    }
    if (takes_files(verb))
        buf_addf(out, "complete -c sdg -n '__fish_seen_subcommand_from %s' -F\n", verb->name);
}

static void complete_fish(buf_t *out) {
    buf_adds(out, "# Completion of sdg for fish, made by `sdg completion fish`.\ncomplete -c sdg -f\n");
    for (size_t i = 0; i < verb_count; i++) {
        fish_verb(out, &verb_rows[i]);
    }
}

void flags_complete(const char *shell, buf_t *out) {
    if (strcmp(shell, "bash") == 0)
        complete_bash(out);
    else if (strcmp(shell, "zsh") == 0)
        complete_zsh(out);
    else
        complete_fish(out);
}
