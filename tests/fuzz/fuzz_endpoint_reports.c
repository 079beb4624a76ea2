/* fuzz_endpoint_reports.c - any bytes as reports of endpoints: refused in words, or a bounded list of ended
 * texts that is the same after another way. */
#include <stdlib.h>
#include <string.h>

#include "core/base/limits.h"
#include "proto/parts/endpoint_reports.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    endpoint_report_t *reports, *again;
    size_t count, count_again;
    err_t err = {0};
    buf_t bytes;
    if (endpoint_reports_decode((const char *)data, size, &reports, &count, &err) != SDG_OK) {
        if (!err.text[0] || reports || count) abort();
        return 0;
    }
    if (count > ENDPOINT_REPORTS_MAX) abort();
    buf_init(&bytes, MESSAGE_BYTES_MAX);
    endpoint_reports_encode(reports, count, &bytes);
    if (endpoint_reports_decode(bytes.data, bytes.len, &again, &count_again, &err) != SDG_OK) abort();
    if (count_again != count) abort();
    for (size_t i = 0; i < count; i++) {
        if (!endpoint_report_same(&reports[i], &again[i])) abort();
        endpoint_report_age(&again[i], reports[i].requests);
        endpoint_report_add(&again[0], &again[i]);
    }
    buf_free(&bytes);
    free(reports);
    free(again);
    return 0;
}
