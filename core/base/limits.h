/* limits.h - every queue, table, retry, body and buffer has its maximum here, with the reason and what "full"
 * does. */
#ifndef SDG_BASE_LIMITS_H
#define SDG_BASE_LIMITS_H

/* values and JSON */
/* one string: far above any prompt, far below 4 GiB (str_t.len) */
#define VALUE_STRING_MAX ((size_t)256 << 20)

/* elements of one list or object read back: eight times what an input line can hold; refused */
#define VALUE_COUNT_MAX ((size_t)1 << 28)

/* nesting; json.org's own checker stops at 20, Python at 1000: deeper is refused */
#define JSON_DEPTH_MAX 128

/* memory */
/* bytes of a block that is kept for the next user: frames, and objects of a row's columns */
#define SMALL_BLOCK_MAX 1024

/* kept per thread and size (64 sizes, 256 KiB in all); what is more is given back */
#define SMALL_KEPT_BYTES_MAX ((size_t)4 << 10)

/* pipelines */
/* a pipeline file; larger is refused */
#define YAML_FILE_BYTES_MAX ((size_t)16 << 20)

/* after alias expansion: a "billion laughs" file is refused */
#define YAML_NODES_MAX 200000

#define YAML_DEPTH_MAX 200

/* problems shown of one file; the rest is counted */
#define DIAG_MAX 200

/* one problem's sentence; longer ones are cut */
#define DIAG_MESSAGE_BYTES_MAX 2048

/* templates inside templates */
#define TEMPLATE_DEPTH_MAX 16

/* templates rendered for one text: they may multiply without writing a byte */
#define TEMPLATE_RENDERS_MAX 10000

/* MEX */
/* nesting of one expression: bounds the C stack of the evaluator */
#define MEX_DEPTH_MAX 200

/* elements a single operator may produce */
#define MEX_LIST_MAX 1000000
#ifdef SDG_FUZZ
/* sanitizers make text some 20 times slower: the fuzzer looks for other things */
#define MEX_TEXT_BYTES_MAX ((size_t)1 << 20)
#else
/* bytes a single operator may produce */
#define MEX_TEXT_BYTES_MAX ((size_t)16 << 20)
#endif
/* operations of one expression: about a second; then the block fails */
#define MEX_OPS_MAX 50000000

/* PCRE2 match limit: a catastrophic pattern fails in about 10 ms */
#define REGEX_MATCH_LIMIT 1000000

/* PCRE2 heap limit */
#define REGEX_HEAP_KIB_MAX 20000

/* a pattern; a longer one is refused */
#define REGEX_PATTERN_BYTES_MAX 65536

/* per thread; beyond it the interpreter goes on with its heap limit */
#define REGEX_JIT_STACK_MAX ((size_t)8 << 20)

/* text of all hits of one findall: look-ahead groups can overlap */
#define REGEX_HITS_BYTES_MAX ((size_t)64 << 20)

/* of one query; with the next three it bounds the C stack */
#define JSONPATH_SEGMENTS_MAX 64

/* filters inside filters, parentheses inside parentheses */
#define JSONPATH_NESTING_MAX 16

/* joined by && or || in one place: the tree leans to the left */
#define JSONPATH_TERMS_MAX 256

/* nesting of the value that `..` descends into; JSON_DEPTH_MAX is below */
#define JSONPATH_DEPTH_MAX 256

/* nodes looked at by one query: well below a second */
#define JSONPATH_STEPS_MAX 5000000

/* rows */
/* logic steps a row runs before it yields to the event loop: well below 1 ms */
#define ROW_FUEL 4096

/* an `_error` text; longer ones are cut */
#define ROW_ERROR_BYTES_MAX 4096

/* one request body or rendered prompt; more fails the block */
#define ROW_BODY_BYTES_MAX ((size_t)64 << 20)

/* an image file: what the large vendors accept; larger fails the block */
#define IMAGE_FILE_BYTES_MAX ((size_t)20 << 20)

/* heap of one row's call frames, emitted and mapped values: 100,000 deep recursion fits */
#define FRAME_BYTES_MAX ((size_t)512 << 20)

/* LLM */
/* body of a response; longer is an error of that call */
#define LLM_ANSWER_BYTES_MAX ((size_t)16 << 20)

/* of a server's reason that is shown */
#define LLM_ERROR_TEXT_MAX 400

/* timeout_sec in a file: 46 days, fits 32 bits in milliseconds */
#define LLM_TIMEOUT_S_MAX 4000000

/* max_attempts in a file: beyond it is a typing error */
#define RETRY_ATTEMPTS_MAX 1000000

/* backoff factor in a file, likewise */
#define RETRY_FACTOR_MAX 1000

/* a longer Retry-After means: do not retry now (official SDK) */
#define LLM_RETRY_AFTER_MAX_S 120

/* an empty answer is asked again twice: 3 requests in all */
#define LLM_EMPTY_RETRIES 2

/* transfers per curl multi handle: 128-256 measured best */
#define HTTP_CONNS_PER_MULTI 192

/* per client: models of the jobs of one worker; more is refused */
#define LLM_ENDPOINTS_MAX 1024

/* URLs of one endpoint: all are compared for each request; more is refused */
#define LLM_REPLICAS_MAX 256

/* requests in flight per endpoint: about the ports of one address; more is cut */
#define LLM_PERMITS_MAX 65536

/* python */
#define PY_HOSTS_DEFAULT 2

/* processes per pool; more is refused when the pool is made */
#define PY_HOSTS_MAX 256

/* further processes while others only wait for ctx.call_ai; then calls wait */
#define PY_AI_HOSTS_MAX 32

/* environments per pool: each in use keeps one process; more are refused */
#define PY_ENVS_MAX 64

/* functions per pool; more are refused */
#define PY_FUNCTIONS_MAX 4096

/* calls in a pool, waiting or running: above any worker's row window; refused */
#define PY_TASKS_MAX 65536

/* one call or result as JSON; larger fails that call */
#define PY_FRAME_BYTES_MAX ((size_t)64 << 20)

/* an empty buffer larger than this is given back */
#define PY_BUFFER_KEPT ((size_t)1 << 20)

/* unsent bytes of a host above which it gets no further call */
#define PY_OUT_BYTES ((size_t)1 << 20)

/* calls sent to one host at a time: hides the wake-up of both sides */
#define PY_WINDOW_TASKS 64

/* ... and their expected time: what a call may wait behind others */
#define PY_WINDOW_US 2000

/* bytes of a printed line; longer ones are cut into several */
#define PY_LOG_LINE_MAX 4096

/* lines printed while no call runs (threads of user code); further ones are dropped */
#define PY_STRAY_LINES_MAX 100

/* log events not yet taken; further ones are dropped and counted */
#define PY_LOG_EVENTS_MAX 1024

/* until a host says hello (a cold disk, a slow shim); then it is killed */
#define PY_START_MS_MAX 60000

/* creating a virtual environment with requirements: large wheels, slow index */
#define PY_INSTALL_MS_MAX 1800000

/* starts failed in a row after which waiting calls of that environment fail */
#define PY_START_FAILURES_MAX 3

/* an idle host above hosts_max is kept so long: it may be needed again at once */
#define PY_IDLE_MS 10000

/* a cancelled call may still finish so long, then its host is killed */
#define PY_CANCEL_MS 1000

/* data */
/* one input line or CSV record; longer fails that row */
#define DATA_LINE_BYTES_MAX ((size_t)64 << 20)

/* read(2) size */
#define DATA_READ_BYTES ((size_t)256 << 10)

/* as spreadsheets have; a header with more is refused */
#define CSV_COLUMNS_MAX 16384

/* one output line: as much as a message can carry */
#define RESULT_LINE_BYTES_MAX ((size_t)128 << 20)

/* buffered output that is written by itself */
#define WRITE_FLUSH_BYTES ((size_t)256 << 10)

/* a larger wish is cut to this */
#define WRITE_FLUSH_BYTES_MAX ((size_t)64 << 20)

/* text worth a gzip member or zstd frame of its own: below it compresses badly */
#define WRITE_MEMBER_BYTES_MIN ((size_t)64 << 10)

/* records looked at before a run (sdg doctor, --auto-tune): some milliseconds */
#define SURVEY_SAMPLE_ROWS 1000

/* ... and their bytes: rows may be large */
#define SURVEY_SAMPLE_BYTES ((size_t)16 << 20)

/* a larger JSONL file is estimated: newlines of a GiB take well below a second from memory */
#define SURVEY_COUNT_BYTES_MAX ((uint64_t)1 << 30)

/* a CSV or compressed file is parsed so far, then estimated: likewise */
#define SURVEY_READ_BYTES_MAX ((uint64_t)32 << 20)

/* store */
/* one answer in the journal: whatever a server may say, and its counts */
#define JOURNAL_ANSWER_BYTES_MAX (LLM_ANSWER_BYTES_MAX + 1024)

/* calls in the index: 128 MiB; later ones are written but not found before a rerun */
#define JOURNAL_CALLS_MAX (4u << 20)

/* calls in one message to or from the store: an array of 16 KiB on the stack */
#define JOURNAL_BATCH_CALLS_MAX 256

/* finished rows in one message to the store */
#define STORE_BATCH_ROWS_MAX 16384

/* read(2) and write(2) size */
#define JOURNAL_READ_BYTES ((size_t)256 << 10)

/* a smaller file is not worth rewriting */
#define JOURNAL_COMPACT_BYTES ((uint64_t)64 << 20)

/* --fsync batch: what power loss may cost; disks take 1-30 ms for a sync */
#define JOURNAL_SYNC_NS (200 * UINT64_C(1000000))

/* ... or so many bytes, so that a sync stays short */
#define JOURNAL_SYNC_BYTES ((uint64_t)8 << 20)

/* one context of a row: as much as a message can carry; a larger one is refused */
#define CONTEXT_BYTES_MAX MESSAGE_BYTES_MAX

/* the last row number: the other half numbers private contexts on disk; refused */
#define CONTEXTS_ROW_MAX (UINT64_MAX >> 1)

/* dead owners whose late messages are refused: four times WORKERS_MAX; the oldest is forgotten */
#define CONTEXTS_GONE_MAX 16384

/* contexts gathered for one transaction, and about what LMDB copies for it; then it is written */
#define SPILL_BATCH_BYTES ((size_t)4 << 20)

/* pages of the spill file that this process may have read before it gives them back */
#define SPILL_RESIDENT_BYTES ((size_t)8 << 20)

/* ... counted per look-up: the kernel maps 64 KiB around each page that is touched */
#define SPILL_FAULT_BYTES ((size_t)128 << 10)

/* address space for the spill file at first: it only has to be asked for rarely */
#define SPILL_MAP_BYTES (UINT64_C(1) << 30)

/* the spill file at most; then nothing more is evicted and the store says so */
#define SPILL_MAP_BYTES_MAX (UINT64_C(1) << 40)

/* entries of one LRU cache: numbers of nodes fit 31 bits; more is a bug of the caller */
#define LRU_SIZE_MAX ((size_t)1 << 30)

/* sched and proto */
/* meta of a finished row: reason, counters, ROW_LATENCIES_MAX latencies */
#define USAGE_BYTES_MAX 1024

/* as documented */
#define CHUNK_ROWS_DEFAULT 100

/* half of what a message may have elements; a larger wish is cut */
#define CHUNK_ROWS_MAX 32768

/* a chunk closes early when its rows are large */
#define CHUNK_BYTES_MAX ((size_t)4 << 20)

/* queued or leased rows per job, as documented */
#define PENDING_ROWS_DEFAULT 1000

/* their raw bytes and results: 32 KiB for each of them and of its result */
#define PENDING_BYTES_DEFAULT ((size_t)64 << 20)

/* an automatic window for large rows ends here: 512 rows of 1 MiB and results like them */
#define PENDING_BYTES_MAX ((size_t)1 << 30)

/* records of the input that are measured to choose the window, ... */
#define WINDOW_SAMPLE_ROWS 100

/* ... or so many bytes of them: milliseconds at the start */
#define WINDOW_SAMPLE_BYTES ((size_t)4 << 20)

/* one frame: a row of DATA_LINE_BYTES_MAX with room */
#define MESSAGE_BYTES_MAX ((size_t)128 << 20)

#define MESSAGE_DEPTH_MAX 8

#define MESSAGE_ELEMENTS_MAX 65536

/* workers a row may take down with it before it fails */
#define LEASE_ATTEMPTS_MAX 3

/* a lease number: which registration of the worker above, count below */
#define LEASE_ERA_SHIFT 32

/* lease numbers taken as seen in one message; the rest follows with the next beat */
#define LEASES_VOID_MAX 65536

/* rows in one lease: a message stays small */
#define LEASE_ROWS_MAX 1024

/* ... and its bytes; a larger row goes alone */
#define LEASE_BYTES_MAX ((size_t)4 << 20)

/* work a worker holds beyond its share: 50 ms of it hides the round trip */
#define LEASE_AHEAD_NS (50 * UINT64_C(1000000))

/* rows of a job's turn at a worker, for each unit of its priority: 40 by default are worth a message, and
 * the next job waits for a moment only */
#define LEASE_TURN_ROWS 4

/* rows in one RESULTS or ROW_RESULTS message */
#define RESULT_BATCH_ROWS_MAX 1024

#define RESULT_BATCH_BYTES_MAX ((size_t)8 << 20)

/* a gathering buffer larger than this is given back after its batch */
#define RESULT_BYTES_KEPT ((size_t)1 << 20)

/* a worker sends at once when it has gathered so many finished rows, ... */
#define RESULT_GATHER_ROWS 128

/* ... or so long after its last batch: each batch wakes three actors */
#define RESULT_GATHER_NS (4 * UINT64_C(1000000))

/* unacknowledged results are sent again after this, doubling to ... */
#define RESEND_NS (2 * UINT64_C(1000000000))

#define RESEND_NS_MAX (30 * UINT64_C(1000000000))

/* permits are absolute and not acknowledged: a lost one is healed by the next */
#define PERMITS_REPEAT_NS (5 * UINT64_C(1000000000))

/* a job all workers refuse waits so long for a better one to come back */
#define REFUSED_GRACE_NS (10 * UINT64_C(1000000000))

/* the end of a job is repeated so long, then the job is forgotten */
#define JOB_DONE_NS_MAX (60 * UINT64_C(1000000000))

/* one beat a second */
#define BEAT_NS UINT64_C(1000000000)

/* silence of a remote client (a slow disk) before its job is dropped */
#define CLIENT_PATIENCE_MS 60000

/* then a worker is taken for dead */
#define BEATS_MISSED_MAX 5

/* rows one worker holds: 4,096 calls in flight with plenty ready behind them */
#define WORKER_ROWS_MAX 16384

/* raw bytes of rows one worker holds */
#define WORKER_BYTES_MAX ((size_t)256 << 20)

/* jobs open in one scheduler */
#define JOBS_MAX 256

#define WORKERS_MAX 4096

/* --priority: weight of a job when several take turns */
#define JOB_PRIORITY_DEFAULT 10

/* above it others would starve; refused */
#define JOB_PRIORITY_MAX 100

/* --auto-tune: datasets from here on are medium, ... */
#define TUNE_MEDIUM_ROWS 1000

/* ... above this large, as documented */
#define TUNE_LARGE_ROWS 10000

/* pending rows for each that runs: documented are 5 to 10; more ahead costs only bounded memory */
#define TUNE_PENDING_PER_RUNNING 10

/* ... when rows are large */
#define TUNE_PENDING_PER_RUNNING_MIN 5

/* contexts in memory that are chosen by themselves */
#define TUNE_CACHE_ROWS_MAX 10000

/* ... and their bytes, as input rows: as much as pending rows may hold */
#define TUNE_CACHE_BYTES_MAX ((uint64_t)64 << 20)

/* messages; credits keep queues far below, this is the safety net */
#define SOCKET_HWM 4096

/* context store */
/* --max-cache-size, as documented */
#define CONTEXTS_CACHED_DEFAULT 500

/* --gc-interval, as documented */
#define GC_INTERVAL_DEFAULT 100

/* how often it tells the monitor */
#define STORE_STATS_NS (200 * UINT64_C(1000000))

/* rows in one notice of evictions; more are counted in the totals only */
#define STORE_EVICTED_MAX 4096

/* --memory-limit: an eighth for rows at the client, an eighth at the scheduler, a half for the workers, a
 * quarter for the store */
/* below it not even one batch of results fits everywhere; refused */
#define MEMORY_LIMIT_MIN ((uint64_t)16 << 20)

/* --gc-interval: at most so often, however fast rows are */
#define HOUSEKEEPING_NS UINT64_C(1000000000)

/* a row that starts may take so many times its raw bytes: values, request, result */
#define MEMORY_ROW_FACTOR 4

/* a row of unknown size is taken for this part of the worker's share */
#define MEMORY_UNKNOWN_PARTS 8

/* contexts in one message to the store, beyond the last one */
#define CONTEXT_BATCH_BYTES ((size_t)1 << 20)

/* ... and how many */
#define CONTEXT_BATCH_MAX 256

/* monitor */
/* of --metrics-listen: browsers and scrapers; further ones wait in accept */
#define METRICS_CONNECTIONS_MAX 64

/* a silent or unreading connection is closed after this */
#define METRICS_IDLE_S 30

/* request headers above it are answered with 431 */
#define METRICS_CONNECTION_BYTES ((size_t)16 << 10)

/* series.json: 720 points of 38 numbers are about 300 KB */
#define METRICS_PAGE_BYTES_MAX ((size_t)1 << 20)

/* RSS of all our processes, when asked for */
#define MEMORY_SAMPLE_NS UINT64_C(1000000000)

/* every fifth sample: PSS costs about 1 ms per GiB */
#define MEMORY_PSS_EVERY 5

/* warnings of --enable-memory-monitoring, as documented */
#define MEMORY_WARN_NS (10 * UINT64_C(1000000000))

/* sdg doctor: what it waits for, and rough sizes its estimates are made of */
/* of a server to the question for its models: a healthy one needs milliseconds */
#define DOCTOR_ANSWER_MS 5000

/* addresses asked; of more replicas the rest is left out */
#define DOCTOR_PLACES_MAX 64

/* all findings: DIAG_MAX problems of a pipeline and some lines for each place */
#define DOCTOR_JSON_BYTES_MAX ((size_t)16 << 20)

/* for a Python to say its version */
#define DOCTOR_PROGRAM_NS (5 * UINT64_C(1000000000))

/* for the first row to come to its first LLM call */
#define DOCTOR_ROW_NS (5 * UINT64_C(1000000000))

/* a shorter "key" (none, x) is no secret and would blot out words */
#define DOCTOR_KEY_BYTES_MIN 6

/* one answer in the output: about 500 tokens */
#define DOCTOR_ANSWER_BYTES 2000

/* a disk with less is full */
#define DOCTOR_ROOM_BYTES_MIN ((uint64_t)64 << 20)

/* beside one per request: files, sockets between actors, Python */
#define DOCTOR_DESCRIPTORS_SPARE 128

/* larger wishes count as this: no machine has it, and estimates stay numbers */
#define DOCTOR_CONCURRENCY_MAX 10000000

/* a process of ours without rows */
#define DOCTOR_PROGRAM_BYTES ((uint64_t)32 << 20)

/* a request in flight: curl's handle and buffers, the row, the answer */
#define DOCTOR_CALL_BYTES ((uint64_t)64 << 10)

/* a Python process with a few modules */
#define DOCTOR_PYTHON_BYTES ((uint64_t)32 << 20)

/* simulated LLM server */
/* one request (images included); larger is answered with 413 */
#define MOCK_BODY_BYTES_MAX ((size_t)64 << 20)

/* a rules or answer file; larger is refused at start */
#define MOCK_FILE_BYTES_MAX ((size_t)16 << 20)

/* rules are tried one after the other; more is refused at start */
#define MOCK_RULES_MAX 10000

/* kinds in one --fail; more is refused */
#define MOCK_FAULTS_MAX 32

/* open connections: above the 10,000 a large run may hold; further ones wait in accept */
#define MOCK_CONNS_DEFAULT 16384

/* memory of one connection: request headers above it are answered with 431 */
#define MOCK_CONN_BYTES ((size_t)16 << 10)

/* one simulated delay: an hour, the longest default client timeout */
#define MOCK_DELAY_NS_MAX (UINT64_C(3600) * 1000000000)

/* --answer-tokens: an answer of 4 MB */
#define MOCK_TOKENS_MAX 1000000

#endif
