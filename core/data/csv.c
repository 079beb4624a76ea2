/* csv.c - see csv.h.
 *
 * A table (or memchr, inside quotes) finds the end of a run of ordinary bytes, which is copied in one piece;
 * the state machine sees only the special byte that ends a run. The fields of a record lie one behind the
 * other in `text`, with a NUL behind each, and `ends` says where each stops. */
#include "core/data/csv.h"

#include "core/base/buf.h"
#include "core/base/error.h"
#include "core/base/grow.h"
#include "core/data/limits.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

typedef enum csv_state {
    CSV_FIELD,  /* at the start of a field */
    CSV_PLAIN,  /* inside an unquoted field, or behind a closing quote */
    CSV_QUOTED, /* inside quotes */
    CSV_QUOTE,  /* behind a quote inside quotes: it closes them, or is half of a doubled one */
    CSV_CR,     /* behind a CR outside quotes: half of a line end, or a byte of the field */
} csv_state_t;

struct csv {
    char separator;
    bool ends_run[256]; /* bytes that end a run of an unquoted field */
    csv_state_t state;
    bool complete;   /* the record was handed out: the next byte begins a new one */
    bool has_quotes; /* the record has a quoted field, so it is no blank line */
    bool open_quote;
    uint64_t line; /* of the byte to come */
    uint64_t record_line;
    buf_t text;
    size_t *ends; /* end of each field in text; owned */
    size_t ends_cap;
    size_t fields; /* complete fields */
};

csv_t *csv_new(char separator, size_t record_bytes_max) {
    csv_t *c = xcalloc(1, sizeof *c);
    c->separator = separator;
    c->ends_run[(unsigned char)separator] = c->ends_run['\n'] = c->ends_run['\r'] = true;
    c->line = c->record_line = 1;
    buf_init(&c->text, record_bytes_max);
    return c;
}

void csv_destroy(csv_t **csv) {
    if (!*csv) return;
    buf_free(&(*csv)->text);
    free((*csv)->ends);
    free(*csv);
    *csv = NULL;
}

uint64_t csv_line(const csv_t *c) { return c->record_line; }
size_t csv_fields(const csv_t *c) { return c->fields; }
bool csv_too_long(const csv_t *c) { return c->text.full; }
bool csv_open_quote(const csv_t *c) { return c->open_quote; }

const char *csv_field_peek(const csv_t *c, size_t i, size_t *len) {
    assert(i < c->fields && i < CSV_COLUMNS_MAX && !c->text.full);
    size_t start = i == 0 ? 0 : c->ends[i - 1] + 1;
    *len = c->ends[i] - start;
    return c->text.data + start;
}

const char *csv_text_peek(const csv_t *c, size_t *len) {
    *len = c->text.len;
    return c->text.data;
}

static void begin_record(csv_t *c) {
    if (c->text.cap > DATA_READ_BYTES) buf_free(&c->text);
    buf_reset(&c->text);
    c->fields = 0;
    c->state = CSV_FIELD;
    c->complete = c->has_quotes = c->open_quote = false;
    c->record_line = c->line;
}

static void end_field(csv_t *c) {
    if (c->fields < CSV_COLUMNS_MAX) {
        GROW(c->ends, c->ends_cap, c->fields + 1);
        c->ends[c->fields] = c->text.len;
    }
    c->fields++;
    buf_addc(&c->text, '\0');
    c->state = CSV_FIELD;
}

/* Called at a line end outside quotes. True: a record is complete; false: the line was blank. */
static bool end_record(csv_t *c) {
    if (c->fields == 0 && c->text.len == 0 && !c->has_quotes && !c->text.full) {
        begin_record(c);
        return false;
    }
    end_field(c);
    c->complete = true;
    return true;
}

/* Takes the byte that ends a run of an unquoted field, or follows a closing quote or a CR. */
static void take_special(csv_t *c, char byte) {
    if (byte == '\n') {
        c->line++;
        end_record(c);
    } else if (byte == '\r') {
        c->state = CSV_CR;
    } else if (byte == c->separator) {
        end_field(c);
    } else {
        buf_addc(&c->text, byte);
        c->state = CSV_PLAIN;
    }
}

static size_t take_plain(csv_t *c, const char *bytes, size_t n) {
    size_t run = 0;
    while (run < n && !c->ends_run[(unsigned char)bytes[run]])
        run++;
    if (run > 0) buf_add(&c->text, bytes, run);
    return run;
}

/* Takes everything up to the next quote, and that quote. */
static size_t take_quoted(csv_t *c, const char *bytes, size_t n) {
    const char *quote = memchr(bytes, '"', n);
    size_t run = quote ? (size_t)(quote - bytes) : n;
    for (size_t i = 0; i < run; i++)
        c->line += bytes[i] == '\n';
    buf_add(&c->text, bytes, run);
    if (!quote) return n;
    c->state = CSV_QUOTE;
    return run + 1;
}

/* One step of the state machine: returns how many bytes it took, and sets `complete` at the end of a
 * record. */
static size_t step(csv_t *c, const char *bytes, size_t n) {
    switch (c->state) {
    case CSV_FIELD:
        if (*bytes == '"') {
            c->has_quotes = true;
            c->state = CSV_QUOTED;
            return 1;
        }
        c->state = CSV_PLAIN;
        return 0;
    case CSV_PLAIN: {
        size_t run = take_plain(c, bytes, n);
        if (run == n) return n;
        take_special(c, bytes[run]);
        return run + 1;
    }
    case CSV_QUOTED: return take_quoted(c, bytes, n);
    case CSV_QUOTE:
        if (*bytes == '"') {
            buf_addc(&c->text, '"');
            c->state = CSV_QUOTED;
        } else {
            take_special(c, *bytes);
        }
        return 1;
    case CSV_CR:
        if (*bytes == '\n') {
            take_special(c, '\n');
            return 1;
        }
        buf_addc(&c->text, '\r');
        c->state = CSV_PLAIN;
        return 0;
    }
    assert(false && "csv state");
    return n;
}

bool csv_feed(csv_t *c, const char *bytes, size_t n, size_t *used) {
    if (c->complete) begin_record(c);
    *used = 0;
    while (*used < n && !c->complete)
        *used += step(c, bytes + *used, n - *used);
    return c->complete;
}

bool csv_end(csv_t *c) {
    if (c->complete) begin_record(c);
    c->open_quote = c->state == CSV_QUOTED;
    return end_record(c);
}
