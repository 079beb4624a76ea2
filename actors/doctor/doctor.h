/* doctor.h - the verb doctor: looks at pipeline, input, output, LLM servers and machine before a long run,
 * one line a finding, and suggests settings. It changes nothing, makes no LLM call, and asks only the servers
 * that the pipeline names (GET /v1/models, /metrics, /v1/loads). */
#ifndef SDG_ACTORS_DOCTOR_DOCTOR_H
#define SDG_ACTORS_DOCTOR_DOCTOR_H

int doctor_main(void *options); /* run_options_t; returns the exit code */

#endif
