/* auto_tune.h - --auto-tune: looks at the input, chooses settings by its size (core/plan/tune.h), and says
 * what it chose and why. */
#ifndef SDG_ACTORS_VERBS_AUTO_TUNE_H
#define SDG_ACTORS_VERBS_AUTO_TUNE_H

#include "actors/verbs/options.h"
#include "core/base/buf.h"
#include "core/data/survey.h"
#include "core/plan/tune.h"

/* Fills in what the user has not given, and tells it on stderr unless --quiet. An input that cannot be read
 * changes nothing: the run says why. */
void auto_tune(run_options_t *o);

/* The same in parts, for `sdg doctor`: choosing for an input that was looked at already; and the words. */
tune_facts_t auto_tune_facts(const run_options_t *o, const survey_t *survey);
void auto_tune_words(const run_options_t *given, const survey_t *survey, const tune_t *chosen, buf_t *out);
/* "--enable-scheduling --max-pending-tasks 640 ...": what to add to the command; "" when there is nothing. */
void auto_tune_flags(const run_options_t *given, const tune_t *chosen, buf_t *out);

#endif
