/*
 * settings.cpp
 *   The GUC variables behind settings.h.  Check hooks refuse what could only fail later, one row at a time.
 */
#include "postgres/settings.h"

#include <algorithm>
#include <climits>

#include "postgres/setting_checks.h"
#include "postgres/prelude.h"

namespace product_optimizer {

namespace {

/* Owned by PostgreSQL's GUC machinery; read only through the functions below. */
char* api_base_url;
char* api_key; /* always empty: see HideSecret() in setting_checks.cpp */
char* api_key_file;
char* proxy; /* always empty, likewise */
char* ca_file;
char* model;
char* instructions;
char* reasoning_effort;
char* service_tier;
char* extra_body;
char* role;
int api = static_cast<int>(Api::kChatCompletions);
int max_tokens_param = static_cast<int>(MaxTokensParam::kAuto);
int token_accounting = static_cast<int>(TokenAccounting::kReserved);
int fair_by = static_cast<int>(FairBy::kTokens);
int max_output_tokens = 900;
int requests_per_minute = 450;
int tokens_per_minute = 450000;
double burst_seconds = 6;
int max_in_flight = 256;
int claim_batch_size = 100;
int claim_per_store = 20;
int poll_interval = 2000;
int connect_timeout = 5000;
int request_timeout = 120000;
int max_attempts = 5;
int retry_base_delay = 1000;
int retry_max_delay = 60000;
int max_response_bytes = 4 * 1024 * 1024;
int heartbeat_interval = 30000;
int stats_log_interval = 60000;
int rescan_interval = 30000;
int max_databases = 16;
bool allow_plain_http;

const config_enum_entry kApis[] = {{"chat_completions", static_cast<int>(Api::kChatCompletions), false},
                                   {"responses", static_cast<int>(Api::kResponses), false},
                                   {nullptr, 0, false}};
const config_enum_entry kMaxTokensParams[] = {
    {"auto", static_cast<int>(MaxTokensParam::kAuto), false},
    {"max_completion_tokens", static_cast<int>(MaxTokensParam::kMaxCompletionTokens), false},
    {"max_tokens", static_cast<int>(MaxTokensParam::kMaxTokens), false},
    {nullptr, 0, false}};
const config_enum_entry kTokenAccountings[] = {
    {"reserved", static_cast<int>(TokenAccounting::kReserved), false},
    {"used", static_cast<int>(TokenAccounting::kUsed), false},
    {nullptr, 0, false}};

const config_enum_entry kFairBys[] = {{"items", static_cast<int>(FairBy::kItems), false},
                                      {"tokens", static_cast<int>(FairBy::kTokens), false},
                                      {nullptr, 0, false}};

constexpr int kSecret = GUC_SUPERUSER_ONLY | GUC_NO_SHOW_ALL | GUC_NOT_IN_SAMPLE;

void Text(const char* name, const char* description, char** variable, const char* initial, int flags,
          GucStringCheckHook check) {
  DefineCustomStringVariable(name, description, nullptr, variable, initial, PGC_SIGHUP, flags, check, nullptr,
                             nullptr);
}

void Number(const char* name, const char* description, int* variable, int least, int most, int flags) {
  DefineCustomIntVariable(name, description, nullptr, variable, *variable, least, most, PGC_SIGHUP, flags,
                          nullptr, nullptr, nullptr);
}

void Choice(const char* name, const char* description, int* variable, const config_enum_entry* choices) {
  DefineCustomEnumVariable(name, description, nullptr, variable, *variable, choices, PGC_SIGHUP, 0, nullptr,
                           nullptr, nullptr);
}

void DefineApiSettings() {
  Text("product_optimizer.api_base_url",
       "URL of the API, including its version: requests go to paths below it.", &api_base_url,
       "https://api.openai.com/v1", GUC_SUPERUSER_ONLY, product_optimizer_check_base_url);
  DefineCustomStringVariable("product_optimizer.api_key", "API key, sent as a bearer token; never shown.",
                             nullptr, &api_key, "", PGC_SIGHUP, kSecret, product_optimizer_check_api_key,
                             product_optimizer_assign_api_key, product_optimizer_show_api_key);
  Text("product_optimizer.api_key_file", "File whose first line is the API key; read again at each reload.",
       &api_key_file, "", GUC_SUPERUSER_ONLY, product_optimizer_check_text);
  DefineCustomStringVariable("product_optimizer.proxy",
                             "URL of the proxy to the API; never shown, as it may hold a password.", nullptr,
                             &proxy, "", PGC_SIGHUP, kSecret, product_optimizer_check_proxy,
                             product_optimizer_assign_proxy, product_optimizer_show_proxy);
  Text("product_optimizer.ca_file",
       "File of PEM certificates to trust instead of the system's; read again at each reload.", &ca_file, "",
       GUC_SUPERUSER_ONLY, product_optimizer_check_text);
  DefineCustomBoolVariable(
      "product_optimizer.allow_plain_http", "Allows an http base URL that is not a loopback address.",
      nullptr, &allow_plain_http, false, PGC_SIGHUP, GUC_SUPERUSER_ONLY, nullptr, nullptr, nullptr);
  Choice("product_optimizer.api", "Which of OpenAI's interfaces to call.", &api, kApis);
  Text("product_optimizer.model", "Model for items whose job names none.", &model, "gpt-5-mini", 0,
       product_optimizer_check_model);
  Text("product_optimizer.instructions",
       "Developer message for items whose job has none; empty means the built-in one for product texts.",
       &instructions, "", GUC_SUPERUSER_ONLY, product_optimizer_check_text);
  Text("product_optimizer.reasoning_effort", "reasoning_effort of each request; empty sends none.",
       &reasoning_effort, "", 0, product_optimizer_check_text);
  Text("product_optimizer.service_tier", "service_tier of each request; empty sends none.", &service_tier, "",
       0, product_optimizer_check_text);
  Text("product_optimizer.extra_body", "JSON object merged over the body of each request, last.", &extra_body,
       "", GUC_SUPERUSER_ONLY, product_optimizer_check_json_object);
  Number("product_optimizer.max_output_tokens", "Cap on the tokens of one answer, reasoning included.",
         &max_output_tokens, 16, 1000000, 0);
  Choice("product_optimizer.max_tokens_param", "Name of the parameter that carries the cap.",
         &max_tokens_param, kMaxTokensParams);
}

void DefineLimitSettings() {
  Number("product_optimizer.requests_per_minute", "Requests per minute and model, over all databases.",
         &requests_per_minute, 1, INT_MAX, 0);
  Number("product_optimizer.tokens_per_minute", "Tokens per minute and model, over all databases.",
         &tokens_per_minute, 1, INT_MAX, 0);
  DefineCustomRealVariable("product_optimizer.burst_seconds",
                           "How much of a minute's flow may leave at once, in seconds.", nullptr,
                           &burst_seconds, 6, 0.1, 60, PGC_SIGHUP, GUC_UNIT_S, nullptr, nullptr, nullptr);
  Choice("product_optimizer.token_accounting",
         "What a request is charged: what the server reserves for it, or what it really used.",
         &token_accounting, kTokenAccountings);
  Choice("product_optimizer.fair_by",
         "What stores share fairly: items, or what items take of the scarcer limit.", &fair_by, kFairBys);
  Number("product_optimizer.max_in_flight", "Most requests in flight at once, per database.", &max_in_flight,
         1, 10000, 0);
  Number("product_optimizer.claim_batch_size", "Most items claimed at once.", &claim_batch_size, 1, 10000, 0);
  Number("product_optimizer.claim_per_store", "Most items of one store claimed at once.", &claim_per_store, 1,
         10000, 0);
}

void DefineTimeSettings() {
  Number("product_optimizer.poll_interval", "How often to look for work nobody announced.", &poll_interval,
         100, 3600000, GUC_UNIT_MS);
  Number("product_optimizer.connect_timeout", "Longest wait for a connection to the API.", &connect_timeout,
         100, 600000, GUC_UNIT_MS);
  Number("product_optimizer.request_timeout", "Longest wait for one answer, connecting included.",
         &request_timeout, 100, 3600000, GUC_UNIT_MS);
  Number("product_optimizer.max_attempts", "Claims of an item until a retryable failure becomes final.",
         &max_attempts, 1, 1000, 0);
  Number("product_optimizer.retry_base_delay", "Wait before the first retry; doubles with each further one.",
         &retry_base_delay, 1, 3600000, GUC_UNIT_MS);
  Number("product_optimizer.retry_max_delay", "Longest wait before a retry.", &retry_max_delay, 1, 86400000,
         GUC_UNIT_MS);
  Number("product_optimizer.max_response_bytes", "Largest answer that is read.", &max_response_bytes, 1024,
         256 * 1024 * 1024, GUC_UNIT_BYTE);
  Number("product_optimizer.heartbeat_interval", "How often the worker logs that it lives; 0 never.",
         &heartbeat_interval, 0, 3600000, GUC_UNIT_MS);
  Number("product_optimizer.stats_log_interval", "How often the worker logs its connections; 0 never.",
         &stats_log_interval, 0, 3600000, GUC_UNIT_MS);
  Number("product_optimizer.rescan_interval", "How often to look for expired leases and new databases.",
         &rescan_interval, 1000, 3600000, GUC_UNIT_MS);
}

}  // namespace

void DefineSettings() {
  DefineApiSettings();
  DefineLimitSettings();
  DefineTimeSettings();
  Text("product_optimizer.role",
       "The worker works only while this role owns job_items; empty: whoever owns it.", &role, "",
       GUC_SUPERUSER_ONLY, product_optimizer_check_text);
  DefineCustomIntVariable("product_optimizer.max_databases",
                          "Most databases of the cluster that can have a worker.", nullptr, &max_databases,
                          max_databases, 1, kMostDatabases, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
  MarkGUCPrefixReserved("product_optimizer");
}

Settings CurrentSettings() {
  Settings s{};
  s.api_base_url = api_base_url;
  while (!s.api_base_url.empty() && s.api_base_url.back() == '/') s.api_base_url.pop_back();
  s.request = {
      static_cast<Api>(api), model,      instructions,      reasoning_effort,
      service_tier,          extra_body, max_output_tokens, static_cast<MaxTokensParam>(max_tokens_param)};
  s.retry = {retry_base_delay, std::max(retry_base_delay, retry_max_delay)};
  s.limits = {requests_per_minute, tokens_per_minute, burst_seconds};
  s.token_accounting = static_cast<TokenAccounting>(token_accounting);
  s.fair_by = static_cast<FairBy>(fair_by);
  s.max_in_flight = max_in_flight;
  s.claim_batch_size = claim_batch_size;
  s.claim_per_store = claim_per_store;
  s.poll_interval_ms = poll_interval;
  s.connect_timeout_ms = connect_timeout;
  s.request_timeout_ms = request_timeout;
  s.heartbeat_interval_ms = heartbeat_interval;
  s.stats_log_interval_ms = stats_log_interval;
  s.rescan_interval_ms = rescan_interval;
  s.max_response_bytes = static_cast<std::size_t>(max_response_bytes);
  s.allow_plain_http = allow_plain_http;
  return s;
}

int MaxDatabases() {
  return max_databases;
}

int DefaultMaxAttempts() {
  return max_attempts;
}

const char* RequiredOwner() {
  return role;
}

ApiKeySources CurrentApiKeySources() {
  return {AssignedApiKey(), api_key_file};
}

WayOutSources CurrentWayOutSources() {
  return {AssignedProxy(), ca_file};
}

}  // namespace product_optimizer
