/* test_verdict.c - what replies mean (core/llm/verdict), by texts of real servers. */
#include <criterion/criterion.h>

#include <string.h>

#include "core/base/error.h"
#include "core/llm/chat.h"
#include "core/llm/verdict.h"

Test(verdict, a_key_that_is_not_taken_is_the_endpoints) {
    verdict_words_t words = {.code = "invalid_api_key", .message = "Incorrect API key provided"};
    cr_expect_eq(verdict_cause(401, &words), LLM_CAUSE_ENDPOINT);
    cr_expect_eq(verdict_of(LLM_CAUSE_ENDPOINT, retry_hint_none()), VERDICT_REFUSED);
}

typedef struct reply {
    const char *server; /* whose words they are */
    long status;
    llm_cause_t cause;
    const char *body;
} reply_t;

static const reply_t replies[] = {
    /* the key, the account, the credit */
    {"OpenAI", 401, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"Incorrect API key provided: sk-x.\",\"type\":\"invalid_request_error\","
     "\"param\":null,\"code\":\"invalid_api_key\"}}"},
    {"Azure", 401, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"code\":\"401\",\"message\":\"Access denied due to invalid subscription key or wrong API "
     "endpoint.\"}}"},
    {"Gemini", 400, LLM_CAUSE_ENDPOINT,
     "[{\"error\":{\"code\":400,\"message\":\"API key not valid. Please pass a valid API key.\","
     "\"status\":\"INVALID_ARGUMENT\"}}]"},
    {"Gemini behind a gateway", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"{\\n  \\\"error\\\": {\\n    \\\"code\\\": 400,\\n    \\\"message\\\": "
     "\\\"API "
     "key not valid. Please pass a valid API key.\\\"}}\",\"code\":400}}"},
    {"DeepSeek", 402, LLM_CAUSE_QUOTA,
     "{\"error\":{\"message\":\"Insufficient Balance\",\"type\":\"unknown_error\",\"param\":null,\"code\":"
     "\"invalid_request_error\"}}"},
    {"OpenRouter", 402, LLM_CAUSE_QUOTA,
     "{\"error\":{\"message\":\"Insufficient credits. Add more using https://openrouter.ai/credits\","
     "\"code\":402}}"},
    {"Hugging Face", 402, LLM_CAUSE_ENDPOINT,
     "{\"error\":\"You have exceeded your monthly included credits for Inference Providers.\"}"},
    {"OpenAI", 429, LLM_CAUSE_QUOTA,
     "{\"error\":{\"message\":\"You exceeded your current quota, please check your plan and billing "
     "details.\",\"type\":\"insufficient_quota\",\"param\":null,\"code\":\"insufficient_quota\"}}"},
    {"Zhipu", 429, LLM_CAUSE_QUOTA,
     "{\"error\":{\"code\":\"1113\",\"message\":\"Insufficient balance or no resource package. Please "
     "recharge.\"}}"},
    {"Zhipu", 429, LLM_CAUSE_QUOTA, "{\"error\":{\"message\":\"余额不足或无可用资源包,请充值。\"}}"},
    {"Moonshot", 429, LLM_CAUSE_QUOTA,
     "{\"error\":{\"message\":\"Your account is suspended, please check your plan and billing details\","
     "\"type\":\"exceeded_current_quota_error\"}}"},
    {"Anthropic", 400, LLM_CAUSE_QUOTA,
     "{\"type\":\"error\",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"Your credit balance is "
     "too low to access the Anthropic API.\"}}"},
    {"LiteLLM", 400, LLM_CAUSE_QUOTA,
     "{\"error\":{\"message\":\"Budget has been exceeded! Current cost: 1.2, Max budget: 1.0\","
     "\"type\":\"budget_exceeded\",\"param\":\"None\",\"code\":\"400\"}}"},
    {"a firewall", 403, LLM_CAUSE_ENDPOINT, "<html><title>403 Forbidden</title></html>"},
    {"a proxy", 407, LLM_CAUSE_ENDPOINT, "<html>Proxy Authentication Required</html>"},

    /* the model */
    {"vLLM", 404, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"The model `x` does not exist.\",\"type\":\"NotFoundError\",\"param\":"
     "\"model\",\"code\":404}}"},
    {"vLLM, old", 404, LLM_CAUSE_ENDPOINT,
     "{\"object\":\"error\",\"message\":\"The model `/data/Qwen1.5-72B-Chat` does not exist.\",\"type\":"
     "\"NotFoundError\",\"param\":null,\"code\":404}"},
    {"SGLang", 400, LLM_CAUSE_ENDPOINT,
     "{\"object\":\"error\",\"message\":\"The model 'x' does not "
     "exist.\",\"type\":\"BadRequest\",\"code\":400}"},
    {"OpenAI", 404, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"The model `gpt-9` does not exist or you do not have access to it.\","
     "\"type\":\"invalid_request_error\",\"param\":null,\"code\":\"model_not_found\"}}"},
    {"OpenAI", 404, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"This is not a chat model and thus not supported in the v1/chat/completions "
     "endpoint. Did you mean to use v1/completions?\",\"type\":\"invalid_request_error\"}}"},
    {"Ollama", 404, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"model \\\"x:8b\\\" not found, try pulling it "
     "first\",\"type\":\"api_error\"}}"},
    {"Azure", 404, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"code\":\"DeploymentNotFound\",\"message\":\"The API deployment for this resource does "
     "not "
     "exist.\"}}"},
    {"Azure", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"code\":\"OperationNotSupported\",\"message\":\"The chatCompletion operation does not "
     "work "
     "with the specified model, text-embedding-ada-002.\"}}"},
    {"LiteLLM", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":{\"error\":\"/chat/completions: Invalid model name passed in "
     "model=DeepSeek-R1x. "
     "Call `/v1/models` to view available models for your key.\"},\"type\":\"None\",\"code\":\"400\"}}"},
    {"LiteLLM", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"litellm.BadRequestError: You passed in model=claude-3. There is no "
     "'model_name' with this string\",\"code\":\"400\"}}"},
    {"OpenRouter", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"deepseek-r1t-chimera:free is not a valid model ID\",\"code\":400}}"},
    {"OpenRouter", 404, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"No endpoints found for google/gemini-x.\",\"code\":404}}"},
    {"DeepSeek", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"Model Not Exist\",\"type\":\"invalid_request_error\",\"param\":null,\"code\":"
     "\"invalid_request_error\"}}"},
    {"Mistral", 400, LLM_CAUSE_ENDPOINT,
     "{\"object\":\"error\",\"message\":\"Invalid model: "
     "mistral-x\",\"type\":\"invalid_model\",\"param\":null,"
     "\"code\":\"1500\"}"},
    {"Groq", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"The model `llama2-70b-4096` has been decommissioned and is no longer "
     "supported.\",\"type\":\"invalid_request_error\",\"code\":\"model_decommissioned\"}}"},
    {"Hugging Face", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"The requested model 'x' is not supported by any provider you have enabled.\","
     "\"type\":\"invalid_request_error\",\"param\":\"model\",\"code\":\"model_not_supported\"}}"},
    {"Bedrock", 400, LLM_CAUSE_ENDPOINT, "{\"message\":\"The provided model identifier is invalid.\"}"},
    {"Kiro", 400, LLM_CAUSE_ENDPOINT,
     "{\"message\":\"Invalid model. Please select a different model to continue.\",\"reason\":"
     "\"INVALID_MODEL_ID\"}"},
    {"Gemini", 404, LLM_CAUSE_ENDPOINT,
     "[{\"error\":{\"code\":404,\"message\":\"models/gemini-x is not found for API version v1main, or is not "
     "supported for generateContent.\",\"status\":\"NOT_FOUND\"}}]"},
    {"Anthropic", 404, LLM_CAUSE_ENDPOINT,
     "{\"type\":\"error\",\"error\":{\"type\":\"not_found_error\",\"message\":\"model: claude-x\"}}"},
    {"a gateway", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"Unsupported model: 'deepseek-r1'.\",\"type\":\"bad_response_status_code\"}}"},
    {"vLLM", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"The model does not support Chat Completions API\",\"code\":400}}"},
    {"a model called image", 404, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"The model `qwen-image` does not exist.\",\"code\":404}}"},

    /* the address */
    {"FastAPI", 404, LLM_CAUSE_ENDPOINT, "{\"detail\":\"Not Found\"}"},
    {"nginx", 404, LLM_CAUSE_ENDPOINT,
     "<html>\r\n<head><title>404 Not Found</title></head>\r\n<body><center><h1>404 Not "
     "Found</h1></center><hr><center>nginx/1.24.0</center></body></html>"},
    {"nginx", 400, LLM_CAUSE_ENDPOINT,
     "<html><head><title>400 The plain HTTP request was sent to HTTPS port</title></head></html>"},
    {"Go", 404, LLM_CAUSE_ENDPOINT, "404 page not found\n"},
    {"Express", 404, LLM_CAUSE_ENDPOINT, "<pre>Cannot POST /chat/completions</pre>"},
    {"OpenAI", 404, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"message\":\"Invalid URL (POST /v1/v1/chat/completions)\",\"type\":"
     "\"invalid_request_error\",\"param\":null,\"code\":null}}"},
    {"Kong", 404, LLM_CAUSE_ENDPOINT, "{\"message\":\"no Route matched with those values\"}"},
    {"Azure", 404, LLM_CAUSE_ENDPOINT, "{\"error\":{\"code\":\"404\",\"message\":\"Resource not found\"}}"},
    {"Azure", 400, LLM_CAUSE_ENDPOINT,
     "{\"error\":{\"code\":\"BadRequest\",\"message\":\"API version not supported\"}}"},
    {"nobody", 404, LLM_CAUSE_ENDPOINT, ""},
    {"a page", 405, LLM_CAUSE_ENDPOINT, "<html><h1>405 Not Allowed</h1></html>"},
    {"a redirect", 301, LLM_CAUSE_ENDPOINT, ""},

    /* the request, that is the row */
    {"vLLM", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"This model's maximum context length is 4096 tokens. However, you requested "
     "5000 tokens in the messages, Please reduce the length of the messages.\",\"type\":"
     "\"BadRequestError\",\"param\":null,\"code\":400}}"},
    {"OpenAI", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"This model's maximum context length is 128000 tokens.\",\"type\":"
     "\"invalid_request_error\",\"param\":\"messages\",\"code\":\"context_length_exceeded\"}}"},
    {"Ollama", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"this model does not support image input (ref: 1)\",\"type\":"
     "\"invalid_request_error\",\"param\":null,\"code\":null}}"},
    {"Volcengine", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"code\":\"InvalidParameter\",\"message\":\"Model do not support image input.\"}}"},
    {"OpenRouter", 404, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"No endpoints found that support image input\",\"code\":404}}"},
    {"OpenAI", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens' is not supported with this model. Use "
     "'max_completion_tokens' instead.\",\"type\":\"invalid_request_error\",\"param\":\"max_tokens\","
     "\"code\":\"unsupported_parameter\"}}"},
    {"OpenAI", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"Unsupported value: 'temperature' does not support 0.2 with this model.\","
     "\"code\":\"unsupported_value\"}}"},
    {"Azure", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"The response was filtered due to the prompt triggering Azure OpenAI's "
     "content "
     "management policy.\",\"code\":\"content_filter\",\"status\":400}}"},
    {"OpenAI", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"Invalid 'messages[0].content': string too long.\",\"code\":"
     "\"string_above_max_length\"}}"},
    {"OpenAI", 400, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"Error while downloading https://x/y.png. Image not found.\",\"code\":"
     "\"invalid_image_url\"}}"},
    {"a gateway", 400, LLM_CAUSE_REFUSED, "{\"error\":{\"message\":\"Invalid model parameters: top_k\"}}"},
    {"pydantic", 422, LLM_CAUSE_REFUSED,
     "{\"detail\":[{\"loc\":[\"body\",\"model\"],\"msg\":\"Field required\"}]}"},
    {"Groq", 413, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"Request too large for model `llama3-70b` on tokens per minute (TPM): Limit "
     "6000, Requested 9000\",\"type\":\"tokens\",\"code\":\"rate_limit_exceeded\"}}"},
    {"OpenAI", 429, LLM_CAUSE_REFUSED,
     "{\"error\":{\"message\":\"Request too large for gpt-4o in organization org-x on tokens per min (TPM): "
     "Limit 30000, Requested 30601. The input or output tokens must be reduced in order to run "
     "successfully.\",\"type\":\"tokens\",\"param\":null,\"code\":\"rate_limit_exceeded\"}}"},

    /* not now */
    {"OpenAI", 429, LLM_CAUSE_RATE_LIMIT,
     "{\"error\":{\"message\":\"Rate limit reached for gpt-4o on requests per min (RPM): Limit 3. Please try "
     "again in 20s.\",\"type\":\"requests\",\"code\":\"rate_limit_exceeded\"}}"},
    {"Gemini", 429, LLM_CAUSE_RATE_LIMIT,
     "[{\"error\":{\"code\":429,\"message\":\"You exceeded your current quota, please check your plan and "
     "billing details. Please retry in 21s.\",\"status\":\"RESOURCE_EXHAUSTED\"}}]"},
    {"a proxy", 429, LLM_CAUSE_RATE_LIMIT, "<html>Too Many Requests</html>"},
    {"SGLang", 503, LLM_CAUSE_OVERLOAD,
     "{\"object\":\"error\",\"message\":\"The request queue is full.\",\"code\":503}"},
    {"OpenAI", 503, LLM_CAUSE_OVERLOAD,
     "{\"error\":{\"message\":\"The engine is currently overloaded, please try again later\"}}"},
    {"llama.cpp", 503, LLM_CAUSE_OVERLOAD,
     "{\"error\":{\"code\":503,\"message\":\"Loading model\",\"type\":\"unavailable_error\"}}"},

    /* faults of the server */
    {"nginx", 502, LLM_CAUSE_SERVER, "<html><h1>502 Bad Gateway</h1></html>"},
    {"Envoy", 503, LLM_CAUSE_SERVER, "upstream connect error or disconnect/reset before headers"},
    {"a server", 500, LLM_CAUSE_SERVER, "{\"error\":{\"message\":\"The model `x` does not exist.\"}}"},
    {"a server", 408, LLM_CAUSE_TIMEOUT, ""},
    {"a server", 409, LLM_CAUSE_SERVER, ""},
};

Test(verdict, real_replies) {
    for (size_t i = 0; i < sizeof replies / sizeof *replies; i++) {
        const reply_t *r = &replies[i];
        err_t reason;
        llm_cause_t cause = chat_error_read(r->status, r->body, strlen(r->body), &reason);
        cr_expect_eq(cause, r->cause, "%s, %ld %s: %s, not %s", r->server, r->status, r->body,
                     llm_cause_name(cause), llm_cause_name(r->cause));
    }
}

Test(verdict, headers_add_to_it) {
    retry_hint_t none = retry_hint_none(), later = {.after_ms = 3000, .should = -1};
    cr_expect_eq(verdict_with_hint(LLM_CAUSE_SERVER, 503, none), LLM_CAUSE_SERVER);
    cr_expect_eq(verdict_with_hint(LLM_CAUSE_SERVER, 503, later), LLM_CAUSE_OVERLOAD);
    cr_expect_eq(verdict_with_hint(LLM_CAUSE_SERVER, 500, later), LLM_CAUSE_SERVER);
}

Test(verdict, what_becomes_of_a_call) {
    retry_hint_t none = retry_hint_none(), yes = {.after_ms = -1, .should = 1},
                 no = {.after_ms = -1, .should = 0};
    cr_expect_eq(verdict_of(LLM_CAUSE_NONE, none), VERDICT_ANSWERED);
    cr_expect_eq(verdict_of(LLM_CAUSE_RATE_LIMIT, none), VERDICT_REJECTED);
    cr_expect_eq(verdict_of(LLM_CAUSE_OVERLOAD, none), VERDICT_REJECTED);
    cr_expect_eq(verdict_of(LLM_CAUSE_RATE_LIMIT, no), VERDICT_FAILED, "the server says that it is in vain");
    cr_expect_eq(verdict_of(LLM_CAUSE_ENDPOINT, none), VERDICT_REFUSED);
    cr_expect_eq(verdict_of(LLM_CAUSE_ENDPOINT, yes), VERDICT_FAILED, "the server wants to be asked again");
    cr_expect_eq(verdict_of(LLM_CAUSE_QUOTA, yes), VERDICT_REFUSED);
    for (int cause = LLM_CAUSE_SERVER; cause < LLM_CAUSE_QUOTA; cause++)
        cr_expect_eq(verdict_of((llm_cause_t)cause, none), VERDICT_FAILED);
}
