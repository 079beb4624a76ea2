/* secrets.c - see secrets.h. Two passes: over the words of the text, for addresses, and over its names. */
#include "core/base/secrets.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

/* Each byte becomes a "*". */
static void stars(char *text, size_t from, size_t to) {
    for (size_t i = from; i < to; i++)
        text[i] = '*';
}

static bool is_any(char c, const char *set) { return c != '\0' && strchr(set, c); }

static bool is_space(char c) { return isspace((unsigned char)c) || c == '\0'; }

/* ---- addresses */

/* A word goes up to white space: a quote or bracket may be part of a password. */
static size_t word_end(const char *text, size_t len, size_t at) {
    while (at < len && !is_space(text[at]))
        at++;
    return at;
}

/* Where the user's name begins in a word that has an "@" at `last`: behind "//", or behind the quote or
 * bracket that opens the value. */
static size_t user_start(const char *text, size_t from, size_t last) {
    size_t start = from;
    for (size_t i = from; i < last; i++) {
        if (i + 2 < last && text[i] == '/' && text[i + 1] == '/') return i + 2;
        if (is_any(text[i], "\"'`([{<=,")) start = i + 1;
    }
    return start;
}

/* Is this a host with a port, and the beginning of a path? A password that looks so is not hidden. */
static bool is_host_and_path(const char *text, size_t len) {
    const char *slash = memchr(text, '/', len), *colon = memchr(text, ':', len);
    if (!slash) return false;
    for (const char *c = colon && colon < slash ? colon + 1 : slash; c < slash; c++)
        if (!isdigit((unsigned char)*c)) return false;
    return true;
}

/* An "@" in the path of an address (https://host:8443/@user) has no secret before it. */
static void hide_user(char *text, size_t from, size_t to) {
    char *at = memrchr(text + from, '@', to - from);
    if (!at) return;
    size_t last = (size_t)(at - text), start = user_start(text, from, last);
    bool address = start >= from + 2 && text[start - 1] == '/' && text[start - 2] == '/';
    bool secret = address ? !is_host_and_path(text + start, last - start)
                          : memchr(text + start, ':', last - start) != NULL;
    if (secret) stars(text, start, last);
}

static void hide_users(char *text, size_t len) {
    for (size_t at = 0; at < len;) {
        size_t end = word_end(text, len, at);
        if (end > at) hide_user(text, at, end);
        at = end + 1;
    }
}

/* ---- named values */

static bool is_name_char(char c) { return isalnum((unsigned char)c) || is_any(c, "_-."); }

static bool has_word(const char *name, size_t len, const char *word) {
    size_t n = strlen(word);
    for (size_t i = 0; i + n <= len; i++)
        if (strncasecmp(name + i, word, n) == 0) return true;
    return false;
}

/* Does the name say that its value is a secret? Numbers of tokens are none. */
static bool is_secret(const char *name, size_t len, bool query) {
    static const char *const words[] = {"api_key",  "api-key", "apikey",     "secret",    "passw",
                                        "authoriz", "cred",    "access_key", "access-key"};
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (has_word(name, len, words[i])) return true;
    if (query && (has_word(name, len, "key") || has_word(name, len, "sig") || has_word(name, len, "auth") ||
                  has_word(name, len, "pass") || has_word(name, len, "code")))
        return true;
    return has_word(name, len, "token") && !has_word(name, len, "tokens");
}

/* The end of the value that begins at `at`: its closing quote; else what ends a plain value, which in a list
 * or object is a comma or bracket. */
static size_t value_end(const char *text, size_t len, size_t at, bool query) {
    char quote = at < len && is_any(text[at], "\"'") ? text[at] : '\0';
    if (quote) {
        size_t end = at + 1;
        while (end < len && text[end] != quote)
            end += text[end] == '\\' && quote == '"' ? 2 : 1;
        return end < len ? end : len;
    }
    while (at < len && !is_any(text[at], query ? "&;#\"'}>) \t\r\n" : ",}]\n"))
        at++;
    return at;
}

/* Where the reference ends that begins at `at`, "${ENV.KEY}"; `at` when none does. */
static size_t reference_end(const char *text, size_t len, size_t at) {
    if (len - at < 3 || text[at] != '$' || text[at + 1] != '{') return at;
    size_t end = at;
    while (end < len && !is_any(text[end], "}\r\n"))
        end++;
    return end < len && text[end] == '}' ? end + 1 : at;
}

/* The value behind "name: " or "name=". A reference stays, and so does "Bearer " in front of it. */
static size_t hide_value(char *text, size_t len, size_t at, bool query) {
    while (!query && at < len && (text[at] == ' ' || text[at] == '\t'))
        at++;
    size_t end = value_end(text, len, at, query);
    if (at < end && is_any(text[at], "[{")) return at; /* what is in it has names of its own */
    if (at < end && is_any(text[at], "\"'")) at++;
    if (end - at > 7 && strncasecmp(text + at, "Bearer ", 7) == 0) at += 7;
    size_t behind = reference_end(text, len, at);
    if (behind > end)
        end = value_end(text, len, behind, query); /* a plain value seemed to end at its bracket */
    if (behind > at) at = behind;
    if (at < end) stars(text, at, end);
    return end;
}

/* A list or object behind a secret name is not passed over: what is in it has names of its own. */
static void hide_values(char *text, size_t len) {
    for (size_t at = 0; at < len;) {
        size_t name = at;
        while (at < len && is_name_char(text[at]))
            at++;
        if (at == name) {
            at++;
            continue;
        }
        size_t sign = at + (at < len && is_any(text[at], "\"'"));
        if (sign < len && is_any(text[sign], ":=") && is_secret(text + name, at - name, text[sign] == '='))
            at = hide_value(text, len, sign + 1, text[sign] == '=');
    }
}

void secrets_hide(char *text, size_t len) {
    hide_users(text, len);
    hide_values(text, len);
}
