/* budget.h - how much one row may use: `budgets` of a file, and `budget` of a block, which wins. */
#ifndef SDG_MABEL_LOGIC_BUDGET_H
#define SDG_MABEL_LOGIC_BUDGET_H

#include <stdint.h>

/* What happens at a limit of loops or recursion: the block fails, or the loop ends (the call returns its base
 * case) with what there is. */
typedef enum on_exceed { EXCEED_ERROR, EXCEED_TRUNCATE, EXCEED_CONTINUE } on_exceed_t;

typedef struct budget {
    uint64_t loop_iters_max; /* of one loop; default LOOP_ITERS_DEFAULT of pipeline/limits.h */
    on_exceed_t loop_exceed;
    uint32_t recursion_depth_max; /* default RECURSION_DEPTH_DEFAULT of pipeline/limits.h */
    on_exceed_t recursion_exceed;
    uint64_t wall_time_ms;  /* per row; 0: none */
    uint32_t ai_calls_max;  /* per row; 0: none */
    uint64_t ai_tokens_max; /* per row; 0: none */
} budget_t;

#endif
