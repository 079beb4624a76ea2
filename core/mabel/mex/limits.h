/* limits.h - what bounds core/mabel/mex: each limit with its reason, and what "full" does. */
#ifndef SDG_MABEL_MEX_LIMITS_H
#define SDG_MABEL_MEX_LIMITS_H

/* nesting of one expression: bounds the C stack of the evaluator; deeper is an error of the file */
#define MEX_DEPTH_MAX 200

/* operations of one expression: about a second; then the block fails */
#define MEX_OPS_MAX 50000000

#endif
