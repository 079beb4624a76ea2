/* mock_llm.h - the verb `sdg mock-llm`: a simulated OpenAI-compatible LLM server (`sdg mock-llm --help`). */
#ifndef SDG_ACTORS_MOCK_MOCK_LLM_H
#define SDG_ACTORS_MOCK_MOCK_LLM_H

/* options is a mock_options_t. Serves until SIGTERM or SIGINT; returns the exit code of the process. */
int mock_llm_main(void *options);

#endif
