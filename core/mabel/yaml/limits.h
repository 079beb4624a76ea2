/* limits.h - what bounds core/mabel/yaml: each limit with its reason, and what "full" does. */
#ifndef SDG_MABEL_YAML_LIMITS_H
#define SDG_MABEL_YAML_LIMITS_H

#include <stddef.h>

/* bytes of a pipeline file: far more than anybody writes by hand; larger is refused */
#define YAML_FILE_BYTES_MAX ((size_t)16 << 20)

/* after alias expansion: a "billion laughs" file is refused */
#define YAML_NODES_MAX 200000

/* nesting of a file: bounds the C stack of the reader; deeper is refused */
#define YAML_DEPTH_MAX 200

/* problems shown of one file; the rest is counted */
#define DIAG_MAX 200

/* one problem's sentence; longer ones are cut */
#define DIAG_MESSAGE_BYTES_MAX 2048

#endif
