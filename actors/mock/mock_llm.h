/* mock_llm.h - the verb `sdg mock-llm`: a simulated OpenAI-compatible LLM server (see mock_help_text). */
#ifndef SDG_ACTORS_MOCK_MOCK_LLM_H
#define SDG_ACTORS_MOCK_MOCK_LLM_H

/* argv[0] is the verb. Serves until SIGTERM or SIGINT; returns the exit code of the process. */
int mock_llm_main(int argc, char **argv);

#endif
