/* line_sums.c - see line_sums.h.
 *
 * Reading again, a block begins at the line whose row is its first one. If that line is the damaged one, the
 * block begins where the one before it ends. Either may be wrong: a damaged row number may be that of another
 * block, and blocks may be unknown. So a block that does not fit is judged again when its row comes later,
 * and only what fits is final.
 */
#include "core/data/line_sums.h"

#include "core/base/error.h"
#include "core/base/grow.h"
#include "core/base/idmap.h"
#include "core/data/limits.h"

#include <stdlib.h>
#include <xxhash.h>

void line_blocks_add(line_blocks_t *blocks, const line_block_t *block) {
    GROW(blocks->items, blocks->cap, blocks->count + 1);
    blocks->items[blocks->count++] = *block;
}

void line_blocks_free(line_blocks_t *blocks) {
    free(blocks->items);
    *blocks = (line_blocks_t){0};
}

/* Adds a line to a block. Each step can be undone, so a change of one line always changes the sum if it
 * changes the line's own hash. */
static void block_add(line_block_t *block, uint64_t row, const char *line, size_t len) {
    static const uint64_t ODD = UINT64_C(0x9E3779B97F4A7C15);
    block->sum = (block->sum ^ XXH3_64bits(line, len)) * ODD + len;
    block->rows += row;
    block->lines++;
}

/* ---- writing */

void line_sums_add(line_sums_t *sums, uint64_t row, const char *line, size_t len) {
    if (sums->open.lines == LINE_BLOCK_LINES) {
        line_blocks_add(&sums->closed, &sums->open);
        sums->open = (line_block_t){0};
    }
    if (sums->open.lines == 0) sums->open.first = row;
    block_add(&sums->open, row, line, len);
    sums->changed = true;
}

void line_sums_take(line_sums_t *sums, line_blocks_t *out) {
    for (size_t i = 0; i < sums->closed.count; i++)
        line_blocks_add(out, &sums->closed.items[i]);
    if (sums->changed && sums->open.lines > 0) line_blocks_add(out, &sums->open);
    line_blocks_free(&sums->closed);
    sums->changed = false;
}

void line_sums_free(line_sums_t *sums) {
    line_blocks_free(&sums->closed);
    *sums = (line_sums_t){0};
}

/* ---- reading again */

typedef enum block_state {
    BLOCK_UNSEEN,
    BLOCK_CUT, /* the file ends inside it */
    BLOCK_DIFFERS,
    BLOCK_FITS,
} block_state_t;

typedef struct known_block {
    line_block_t was;
    block_state_t state;
    uint64_t from, to; /* its lines in the file, unless it is unseen */
    line_block_t is;   /* what was found in them */
} known_block_t;

struct line_check {
    known_block_t *blocks; /* owned; in the order in which they were written */
    size_t count;
    idmap_t by_first;       /* known_block_t */
    known_block_t *current; /* NULL: between blocks */
    size_t next;            /* the block behind the current one, or behind the one before */
    uint64_t from, to;      /* lines of the current block so far */
    line_block_t is;        /* of them */
    uint64_t loose;         /* lines of no block since the last block */
    uint64_t added;         /* lines of no block before another block */
    /* made by line_check_end */
    changed_lines_t *changed; /* owned */
    size_t changed_count;
    changed_lines_t *intact; /* owned; only from and to */
    size_t intact_count;
    uint64_t missing;
};

line_check_t *line_check_new(const line_blocks_t *known) {
    line_check_t *c = xcalloc(1, sizeof *c);
    c->blocks = xcalloc(known->count + 1, sizeof *c->blocks);
    for (size_t i = 0; i < known->count; i++) {
        const line_block_t *was = &known->items[i];
        known_block_t *same = idmap_get(&c->by_first, was->first);
        if (same && was->lines >= same->was.lines) same->was = *was;
        if (same) continue;
        known_block_t *block = &c->blocks[c->count++];
        block->was = *was;
        idmap_add(&c->by_first, was->first, block);
    }
    return c;
}

void line_check_destroy(line_check_t **check) {
    line_check_t *c = *check;
    if (!c) return;
    idmap_free(&c->by_first);
    free(c->blocks);
    free(c->changed);
    free(c->intact);
    free(c);
    *check = NULL;
}

/* The lines of the current block are over. What has fitted once stays so. */
static void end_block(line_check_t *c) {
    known_block_t *b = c->current;
    if (!b) return;
    bool fits = c->is.lines == b->was.lines && c->is.sum == b->was.sum && c->is.rows == b->was.rows;
    if (b->state != BLOCK_FITS) {
        b->state = fits ? BLOCK_FITS : BLOCK_DIFFERS;
        b->from = c->from;
        b->to = c->to;
        b->is = c->is;
    }
    c->current = NULL;
}

static void begin_block(line_check_t *c, known_block_t *block, uint64_t number) {
    end_block(c);
    c->current = block;
    c->next = (size_t)(block - c->blocks) + 1;
    c->from = number;
    c->is = (line_block_t){.first = block->was.first};
    c->added += c->loose;
    c->loose = 0;
}

void line_check_add(line_check_t *c, uint64_t number, uint64_t row, const char *line, size_t len) {
    if (c->current && c->is.lines == c->current->was.lines) end_block(c);
    known_block_t *named = row == UINT64_MAX ? NULL : idmap_get(&c->by_first, row);
    if (named && named->state != BLOCK_FITS)
        begin_block(c, named, number);
    else if (!c->current && c->next < c->count && c->blocks[c->next].state == BLOCK_UNSEEN)
        begin_block(c, &c->blocks[c->next], number);
    if (!c->current) {
        c->loose++;
        return;
    }
    c->to = number;
    block_add(&c->is, row, line, len);
}

static int by_place(const void *a, const void *b) {
    const changed_lines_t *x = a, *y = b;
    return x->from < y->from ? -1 : x->from > y->from;
}

/* Files a block under what became of it. *missing: lines of it that were not found. */
static void judge_block(line_check_t *c, const known_block_t *b, uint64_t *missing) {
    uint64_t lines = b->state == BLOCK_UNSEEN ? 0 : b->is.lines;
    bool all = lines == b->was.lines;
    *missing += b->was.lines - lines;
    if (b->state == BLOCK_FITS)
        c->intact[c->intact_count++] = (changed_lines_t){b->from, b->to, 0};
    else if (b->state == BLOCK_DIFFERS)
        c->changed[c->changed_count++] =
            (changed_lines_t){b->from, b->to, all ? b->is.rows - b->was.rows : 0};
}

void line_check_end(line_check_t *c) {
    uint64_t missing = 0;
    known_block_t *last = c->current;
    end_block(c);
    if (last && last->state == BLOCK_DIFFERS && c->is.lines < last->was.lines) last->state = BLOCK_CUT;
    c->changed = xcalloc(c->count + 1, sizeof *c->changed);
    c->intact = xcalloc(c->count + 1, sizeof *c->intact);
    for (size_t i = 0; i < c->count; i++)
        judge_block(c, &c->blocks[i], &missing);
    qsort(c->changed, c->changed_count, sizeof *c->changed, by_place);
    qsort(c->intact, c->intact_count, sizeof *c->intact, by_place);
    c->missing = missing > c->added ? missing - c->added : 0;
}

uint64_t line_check_missing(const line_check_t *c) { return c->missing; }

const changed_lines_t *line_check_changed(const line_check_t *c, size_t *count) {
    *count = c->changed_count;
    return c->changed;
}

/* Is the line in one of these ranges, which are in order and, when they are of intact lines, do not meet? */
static bool lies_in(const changed_lines_t *ranges, size_t count, uint64_t number) {
    size_t low = 0, high = count;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (ranges[mid].from <= number)
            low = mid + 1;
        else
            high = mid;
    }
    return low > 0 && number <= ranges[low - 1].to;
}

line_trust_t line_check_trust(const line_check_t *c, uint64_t number) {
    if (lies_in(c->intact, c->intact_count, number)) return LINE_INTACT;
    return lies_in(c->changed, c->changed_count, number) ? LINE_CHANGED : LINE_UNKNOWN;
}
