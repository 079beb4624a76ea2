/* init.c - see init.h. To add a template: a folder in deploy/templates, its files in CMakeLists.txt
 * (sdg_embed), a row in `templates`, a choice of --template in flags_table.c. */
#include "actors/verbs/init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "actors/exit_codes.h"
#include "actors/verbs/options.h"
#include "core/base/buf.h"
#include "questions_yaml.h"
#include "rules_yaml.h"
#include "topics_jsonl.h"

typedef struct template_file {
    const char *name;
    const unsigned char *bytes;
    size_t len;
} template_file_t;

enum { TEMPLATE_FILES_MAX = 4 }; /* a pipeline, its data, rules of the simulated server, and the end */

typedef struct template {
    template_file_t files[TEMPLATE_FILES_MAX]; /* ends with one without a name */
    const char *next;                          /* what to do in the folder */
}
template_t;

#define FILE_OF(name, bytes) \
    { name, bytes, sizeof(bytes) }

static const template_t templates[] = {
    [TEMPLATE_QUESTIONS] = {
        .files = {FILE_OF("questions.yaml", QUESTIONS_YAML), FILE_OF("topics.jsonl", TOPICS_JSONL),
                  FILE_OF("rules.yaml", RULES_YAML)},
        .next = "  sdg mock-llm --port 8000 --rules rules.yaml &     # a simulated server; or set base_url "
                "to yours\n"
                "  sdg test-run --yaml questions.yaml --input topics.jsonl\n"
                "  sdg run --yaml questions.yaml --input topics.jsonl --output questions.jsonl\n"}};

/* True, and words, when a file of the template is there. */
static bool something_is_there(const char *folder, const template_t *t) {
    bool there = false;
    for (const template_file_t *f = t->files; f->name; f++) {
        struct stat st;
        char *path = xasprintf("%s/%s", folder, f->name);
        if (lstat(path, &st) == 0) {
            fprintf(stderr, "sdg init: %s is there already; nothing was written\n", path);
            there = true;
        }
        free(path);
    }
    return there;
}

/* False, and words: the file could not be written. A file that appeared meanwhile is not touched. */
static bool write_file(const char *folder, const template_file_t *f) {
    char *path = xasprintf("%s/%s", folder, f->name);
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    ssize_t written = fd < 0 ? -1 : write(fd, f->bytes, f->len);
    bool fine = written == (ssize_t)f->len;
    if (fd >= 0 && close(fd) != 0) fine = false;
    if (fine)
        printf("wrote %s\n", path);
    else
        fprintf(stderr, "sdg init: cannot write %s: %s\n", path, written < 0 ? strerror(errno) : "disk full");
    free(path);
    return fine;
}

int init_main(void *options) {
    const init_options_t *o = options;
    const char *folder = o->common.word_count ? o->common.words[0] : ".";
    const template_t *t = &templates[o->template];
    if (mkdir(folder, 0777) != 0 && errno != EEXIST) {
        fprintf(stderr, "sdg init: cannot make the folder %s: %s\n", folder, strerror(errno));
        return EXIT_DATA;
    }
    if (something_is_there(folder, t)) return EXIT_DATA;
    for (const template_file_t *f = t->files; f->name; f++) {
        if (!write_file(folder, f)) return EXIT_DATA;
    }
    printf("next%s%s:\n%s", strcmp(folder, ".") ? ", in " : "", strcmp(folder, ".") ? folder : "", t->next);
    return EXIT_ALL_FINE;
}
