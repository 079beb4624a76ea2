/* logic.h - logic blocks: compiled to a tree of ops and run on heap frames. So recursion costs heap and not C
 * stack, and a long loop can stop in the middle and go on later.
 *
 * A running block is a `logic_run_t` with a stack of frames; logic_step runs until the block is done, failed,
 * or the fuel is used up. */
#ifndef SDG_MABEL_LOGIC_LOGIC_H
#define SDG_MABEL_LOGIC_LOGIC_H

#include "core/mabel/logic/budget.h"
#include "core/mabel/mex/mex.h"
#include "core/mabel/text/template.h"

typedef struct logic_program logic_program_t;
typedef struct logic_block logic_block_t;

/* --- load --- */
/* Declares functions.logic (a list node, may be NULL) and the functions of all `op: recurse` blocks of
 * `blocks`, then compiles their bodies. */
logic_program_t *logic_program_load(ydoc_t *doc, const ynode_t *functions, const ynode_t *blocks,
                                    diags_t *diags);
void logic_program_destroy(logic_program_t **program);
/* Compiles one block node (type: logic). NULL after errors (reported). */
logic_block_t *logic_block_load(ydoc_t *doc, logic_program_t *program, const ynode_t *block,
                                const ypath_t *path, diags_t *diags);
void logic_block_destroy(logic_block_t **block);
/* Names the block puts into the context: outputs and `returns`. Borrowed. */
size_t logic_block_outputs(const logic_block_t *block, str_t *const **names);

/* --- run --- */
typedef struct logic_run logic_run_t;
typedef enum logic_status { LOGIC_DONE, LOGIC_FAILED, LOGIC_YIELD } logic_status_t;

logic_run_t *logic_start(const logic_program_t *program, const logic_block_t *block, const budget_t *budget);
/* Runs about *fuel steps at most and takes what it used off *fuel. LOGIC_YIELD: the fuel is used up, call it
 * again. LOGIC_FAILED: err says why. Must not be called after LOGIC_DONE or LOGIC_FAILED. */
logic_status_t logic_step(logic_run_t *run, scope_t *scope, uint32_t *fuel, err_t *err);
/* After LOGIC_DONE: the value of the block's name i (logic_block_outputs), borrowed. */
value_t logic_output_peek(const logic_run_t *run, size_t i);
/* Releases the run, in whatever state it is. */
void logic_abort(logic_run_t **run);

#endif
