/* fuzz_server_load - any bytes as what a server says of its load, in both of its forms: what is read is
 * finite, not negative, and one short line of words; it does not depend on lines that are comments. */
#include "tests/fuzz/input.h"

#include <math.h>

#include "core/llm/server_load.h"

static void check_number(double n) { CHECK(isnan(n) || (n >= 0 && isfinite(n)), "%g", n); }

static void check(const server_load_t *load) {
    buf_t words;
    buf_init(&words, 512);
    CHECK(!isnan(load->running) || !isnan(load->waiting), "nothing of requests");
    check_number(load->running);
    check_number(load->waiting);
    check_number(load->cache);
    server_load_write(load, &words);
    CHECK(!words.full && words.len > strlen("vLLM: ") && !strchr(words.data, '\n'), "%s", words.data);
    buf_free(&words);
}

static bool same(double a, double b) { return (isnan(a) && isnan(b)) || a == b; }

/* The same text behind a comment, and with another one at its end. */
static void check_comments(const char *text, size_t len, const server_load_t *load) {
    static const char comment[] = "# TYPE vllm:num_requests_running gauge\n";
    server_load_t again;
    buf_t longer;
    buf_init(&longer, len + 2 * sizeof comment + 1);
    buf_adds(&longer, comment);
    buf_add(&longer, text, len);
    buf_addc(&longer, '\n');
    buf_adds(&longer, comment);
    CHECK(server_metrics_read(longer.data, longer.len, &again), "not read behind a comment");
    CHECK(same(again.running, load->running) && same(again.waiting, load->waiting) &&
              same(again.cache, load->cache),
          "other numbers behind a comment");
    buf_free(&longer);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size) {
    fuzz_input_t in = {bytes, size};
    server_load_t load;
    size_t len;
    char *text = fuzz_rest(&in, &len);
    if (server_metrics_read(text, len, &load)) {
        check(&load);
        check_comments(text, len, &load);
    }
    if (server_loads_read(text, len, &load)) check(&load);
    free(text);
    return 0;
}
