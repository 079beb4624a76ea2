/* csv.c - see csv.h.
 *
 * A table finds the end of a run of ordinary bytes, which is copied in one piece; the state machine sees only
 * the special byte that ends a run. The fields of a record lie one behind the other in `text`, with a NUL
 * behind each, and `ends` says where each stops.
 *
 * The second reading: while a quoted field goes over a line end, what follows its first line is kept in
 * `kept`. If the record breaks, these bytes become `again` and are read before any new ones. No byte is read
 * three times: a line in the middle of the span was inside quotes as a whole, so each run of quotes in it is
 * even, and read from outside such a run closes what it opens. Only a field that begins in the last line of
 * the span can leave its line, and that goes on with new bytes.
 */
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
    CSV_PLAIN,  /* inside an unquoted field */
    CSV_QUOTED, /* inside quotes */
    CSV_QUOTE,  /* behind a quote inside quotes: it closes them, or is half of a doubled one */
    CSV_SKIP,   /* in a broken record, before the end of its line */
} csv_state_t;

struct csv {
    char separator;
    bool quoting;
    bool ends_run[256]; /* bytes that end a run of an unquoted field */
    csv_state_t state;
    bool after_cr;   /* the byte before was a CR that ended a line: an LF belongs to it */
    bool complete;   /* the record was handed out: the next byte begins a new one */
    bool has_quotes; /* the record has a quoted field, so it is no blank line */
    csv_problem_t problem;
    uint64_t line; /* of the byte to come */
    uint64_t record_line;
    buf_t text;
    size_t *ends; /* end of each field in text; owned */
    size_t ends_cap;
    size_t fields; /* complete fields */
    /* The quoted field that is being read. */
    uint64_t opened;    /* line of its quote */
    uint64_t broke;     /* line in which it was seen that its record is broken */
    bool keeping;       /* it has gone over a line end */
    bool kept_after_cr; /* that line end was a CR, perhaps with an LF to come */
    buf_t kept;         /* what came behind that line end */
    /* The second reading of what a broken record had spanned. */
    buf_t again;
    size_t again_at;
    uint64_t span_end;    /* its last line; 0: there was none yet */
    uint64_t span_opened; /* line of the quote that made it */
};

csv_t *csv_new(char separator, bool quoting, size_t record_bytes_max) {
    csv_t *c = xcalloc(1, sizeof *c);
    c->separator = separator;
    c->quoting = quoting;
    c->ends_run[(unsigned char)separator] = c->ends_run['\n'] = c->ends_run['\r'] = true;
    c->line = c->record_line = 1;
    buf_init(&c->text, record_bytes_max);
    buf_init(&c->kept, 2 * record_bytes_max + 2); /* quotes may be doubled */
    buf_init(&c->again, 2 * record_bytes_max + 2);
    return c;
}

void csv_destroy(csv_t **csv) {
    if (!*csv) return;
    buf_free(&(*csv)->text);
    buf_free(&(*csv)->kept);
    buf_free(&(*csv)->again);
    free((*csv)->ends);
    free(*csv);
    *csv = NULL;
}

uint64_t csv_line(const csv_t *c) { return c->record_line; }
size_t csv_fields(const csv_t *c) { return c->fields; }
bool csv_too_long(const csv_t *c) { return c->text.full; }
csv_problem_t csv_problem(const csv_t *c) { return c->problem; }
uint64_t csv_quote_line(const csv_t *c) { return c->problem ? c->opened : c->span_opened; }
uint64_t csv_quote_end(const csv_t *c) { return c->problem ? c->broke : c->span_end; }
bool csv_in_span(const csv_t *c) { return c->record_line <= c->span_end; }
size_t csv_kept(const csv_t *c) { return c->again.len - c->again_at; }

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

/* ---- records */

static void empty(buf_t *b) {
    if (b->cap > DATA_READ_BYTES) buf_free(b);
    buf_reset(b);
}

static void begin_record(csv_t *c) {
    empty(&c->text);
    c->fields = 0;
    c->state = CSV_FIELD;
    c->complete = c->has_quotes = false;
    c->problem = CSV_FINE;
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
    c->keeping = false;
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

/* Counts a line end; the LF of a CR LF was counted with its CR. */
static void count_line(csv_t *c, char byte) {
    bool second_half = c->after_cr && byte == '\n';
    c->line += !second_half;
    c->after_cr = byte == '\r';
}

/* ---- broken records */

/* The record is broken in its last field, which has gone over line ends: what was kept of it is read
 * again. */
static void break_span(csv_t *c, csv_problem_t problem) {
    assert(csv_kept(c) == 0);
    buf_t emptied = c->again;
    c->again = c->kept;
    c->again_at = 0;
    c->kept = emptied;
    empty(&c->kept);
    c->keeping = false;
    c->span_end = c->broke = c->line;
    c->span_opened = c->opened;
    c->problem = problem;
    c->line = c->opened + 1;
    c->after_cr = c->kept_after_cr;
    c->complete = true;
}

/* The record is broken, as was seen in this line, and reading goes on at the next byte, which begins one. */
static void break_here(csv_t *c, csv_problem_t problem, uint64_t line) {
    c->problem = problem;
    c->broke = line;
    c->complete = true;
}

/* Text behind a closing quote. */
static void break_at_text(csv_t *c) {
    if (c->keeping) {
        break_span(c, CSV_TEXT_BEHIND_QUOTE);
        return;
    }
    c->problem = CSV_TEXT_BEHIND_QUOTE;
    c->broke = c->line;
    c->state = CSV_SKIP;
}

/* A quoted field has gone over a line end. */
static void go_over_line(csv_t *c) {
    if (c->text.full) {
        break_here(c, CSV_QUOTE_TOO_LONG, c->line - 1);
    } else if (!c->keeping) {
        c->keeping = true;
        c->kept_after_cr = c->after_cr;
        empty(&c->kept);
    }
}

/* ---- bytes */

/* Takes the byte that ends a run of an unquoted field, or follows a closing quote. */
static void take_special(csv_t *c, char byte) {
    if (byte == c->separator) {
        end_field(c);
    } else {
        count_line(c, byte);
        end_record(c);
    }
}

static size_t run_of(const csv_t *c, const char *bytes, size_t n) {
    size_t run = 0;
    while (run < n && !c->ends_run[(unsigned char)bytes[run]])
        run++;
    return run;
}

static size_t take_plain(csv_t *c, const char *bytes, size_t n) {
    size_t run = run_of(c, bytes, n);
    if (run > 0) buf_add(&c->text, bytes, run);
    if (run == n) return n;
    take_special(c, bytes[run]);
    return run + 1;
}

static void add_quoted(csv_t *c, const char *bytes, size_t n) {
    buf_add(&c->text, bytes, n);
    if (c->keeping) buf_add(&c->kept, bytes, n);
}

/* How many of n bytes a field that has gone over a line end may still have. */
static size_t room_for(const csv_t *c, size_t n) {
    size_t room = c->text.max - c->text.len;
    return !c->keeping || n <= room ? n : room;
}

static bool is_line_end(char byte) { return byte == '\n' || byte == '\r'; }

static size_t find(const char *bytes, size_t n, char byte) {
    const char *found = memchr(bytes, byte, n);
    return found ? (size_t)(found - bytes) : n;
}

/* Takes bytes of a quoted field up to and with its first line end. */
static size_t take_first_line(csv_t *c, const char *bytes, size_t n) {
    size_t end = find(bytes, find(bytes, n, '\n'), '\r');
    if (end == n) {
        buf_add(&c->text, bytes, n);
        return n;
    }
    buf_add(&c->text, bytes, end + 1);
    count_line(c, bytes[end]);
    go_over_line(c);
    return end + 1;
}

/* Takes bytes of a quoted field behind its first line end. 0: the record broke, because there are too many.
 */
static size_t take_more_lines(csv_t *c, const char *bytes, size_t n) {
    size_t taken = room_for(c, n);
    if (taken == 0) {
        break_span(c, CSV_QUOTE_TOO_LONG);
        return 0;
    }
    add_quoted(c, bytes, taken);
    for (size_t i = 0; i < taken; i++) {
        if (is_line_end(bytes[i]))
            count_line(c, bytes[i]);
        else
            c->after_cr = false;
    }
    return taken;
}

/* Takes what is inside quotes up to the next quote, or that quote. 0: the record broke. */
static size_t take_quoted(csv_t *c, const char *bytes, size_t n) {
    size_t run = find(bytes, n, '"');
    if (run > 0) return c->keeping ? take_more_lines(c, bytes, run) : take_first_line(c, bytes, run);
    if (c->keeping) buf_addc(&c->kept, '"');
    c->state = CSV_QUOTE;
    c->after_cr = false;
    return 1;
}

/* Takes the byte behind a quote inside quotes. */
static size_t take_behind_quote(csv_t *c, char byte) {
    if (byte == '"') {
        if (room_for(c, 1) == 0) {
            break_span(c, CSV_QUOTE_TOO_LONG);
            return 0;
        }
        add_quoted(c, "\"", 1);
        c->state = CSV_QUOTED;
    } else if (c->ends_run[(unsigned char)byte]) {
        take_special(c, byte);
    } else {
        if (c->keeping) buf_addc(&c->kept, byte);
        break_at_text(c);
    }
    return 1;
}

/* Takes the rest of the line of a broken record. */
static size_t take_rest(csv_t *c, const char *bytes, size_t n) {
    size_t run = 0;
    while (run < n && !is_line_end(bytes[run]))
        run++;
    if (run == n) return n;
    count_line(c, bytes[run]);
    c->complete = true;
    return run + 1;
}

/* One step of the state machine: returns how many bytes it took, and sets `complete` at the end of a
 * record. */
static size_t step(csv_t *c, const char *bytes, size_t n) {
    if (c->after_cr && c->state != CSV_QUOTED) {
        c->after_cr = false;
        if (*bytes == '\n') return 1;
    }
    switch (c->state) {
    case CSV_FIELD:
        if (*bytes == '"' && c->quoting) {
            c->has_quotes = true;
            c->opened = c->line;
            c->state = CSV_QUOTED;
            return 1;
        }
        c->state = CSV_PLAIN;
        return 0;
    case CSV_PLAIN: return take_plain(c, bytes, n);
    case CSV_QUOTED: return take_quoted(c, bytes, n);
    case CSV_QUOTE: return take_behind_quote(c, *bytes);
    case CSV_SKIP: return take_rest(c, bytes, n);
    }
    assert(false && "csv state");
    return n;
}

/* Goes through what is to be read a second time. True: a record is complete. */
static bool read_again(csv_t *c) {
    if (c->complete) begin_record(c);
    while (!c->complete && c->again_at < c->again.len)
        c->again_at += step(c, c->again.data + c->again_at, c->again.len - c->again_at);
    if (c->again_at == c->again.len) {
        empty(&c->again);
        c->again_at = 0;
    }
    return c->complete;
}

bool csv_feed(csv_t *c, const char *bytes, size_t n, size_t *used) {
    *used = 0;
    read_again(c);
    while (*used < n && !c->complete)
        *used += step(c, bytes + *used, n - *used);
    if (c->complete && c->after_cr && csv_kept(c) == 0 && *used < n && bytes[*used] == '\n') {
        c->after_cr = false; /* the rest of the line end counts as used with its record */
        ++*used;
    }
    return c->complete;
}

bool csv_end(csv_t *c) {
    if (read_again(c)) return true;
    if (c->state == CSV_SKIP) {
        c->complete = true;
    } else if (c->state == CSV_QUOTED && c->keeping) {
        break_span(c, CSV_QUOTE_NEVER_CLOSED);
    } else if (c->state == CSV_QUOTED) {
        break_here(c, CSV_QUOTE_NEVER_CLOSED, c->line);
    } else {
        end_record(c);
    }
    return c->complete;
}
