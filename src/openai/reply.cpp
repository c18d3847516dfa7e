/*
 * reply.cpp
 *   From the reply to the outcome: which reader looks at the body, and what the headers add.
 */
#include "openai/reply.h"

#include "openai/answer.h"
#include "openai/error_class.h"
#include "openai/plain_error.h"
#include "openai/rate_headers.h"

namespace product_optimizer {
namespace {

constexpr std::size_t kMaxRequestIdBytes = 128;
constexpr std::size_t kMaxModelBytes = 200;
constexpr std::size_t kMaxQuotedBytes = 120;

/* A failed generation that arrives with status 200 counts as the server's own failure, unless it says a
 * status or a code that knows better. */
constexpr int kStatusOfFailed = 500;

/* What to say of an error, and what to do about it where the status tells. */
std::string Explain(const ApiError& error, std::string_view body, std::string_view secret) {
  if (error.status >= 300 && error.status <= 399) {
    return "the server redirects instead of answering; check the base URL of the API";
  }
  std::string text = error.message;
  if (text.empty() && error.found) text = !error.code.empty() ? error.code : error.type;
  if (text.empty() && body.empty()) text = "the answer is empty";
  if (text.empty())
    text = "the answer is no error of the API, it begins: " +
           PlainText(WithoutSecret(std::string(body), secret).substr(0, 1024), kMaxQuotedBytes);
  const bool wrong_url = (error.status == 404 && error.code != "model_not_found") || error.status == 405;
  return wrong_url ? PlainText(text, 800) + "; check the base URL of the API" : text;
}

/*
 * x-should-retry is the server's own word, and it wins over the table for what concerns one item.  It
 * does not win over kHoldOff and kBlock: the official clients read "false" on a 429 as "give the error
 * to the caller now", but their caller is a program that can come back later, ours is a queue that
 * can wait.  Failing the item would lose work over a passing limit; and a 429 that really cannot pass
 * says so by its code (money: kBlock) or its text (too large: kFail already).
 */
void HonourShouldRetry(std::string_view headers, Outcome* outcome) {
  const auto should_retry = ReadShouldRetry(headers);
  if (should_retry == true && outcome->kind == OutcomeKind::kFail) {
    outcome->kind = OutcomeKind::kRetry;
    outcome->rejected_request = false;
  } else if (should_retry == false && outcome->kind == OutcomeKind::kRetry) {
    outcome->kind = OutcomeKind::kFail;
  }
}

/* A wait of 0 is no word of when: who took it for one would come back at once, for as long as it is said. */
void ReadWait(const Reply& reply, std::string_view message, Outcome* outcome) {
  if (outcome->kind != OutcomeKind::kHoldOff && outcome->kind != OutcomeKind::kRetry) return;
  std::int64_t wait_ms = ReadRetryAfterMs(reply.headers, reply.now_unix_s).value_or(0);
  if (wait_ms == 0 && outcome->kind == OutcomeKind::kHoldOff) wait_ms = ReadWaitInText(message).value_or(0);
  if (wait_ms > 0) outcome->retry_after_ms = wait_ms;
}

}  // namespace

Outcome ReadReply(Api api, const Reply& reply) {
  Outcome outcome;
  const auto masked = [&](std::string text) { return WithoutSecret(std::move(text), reply.secret); };
  outcome.request_id = PlainText(masked(std::string(FindHeader(reply.headers, "x-request-id").value_or(""))),
                                 kMaxRequestIdBytes);

  const bool success = reply.status >= 200 && reply.status <= 299;
  ApiError error;
  if (success) {
    ReadAnswer(api, reply.body, &outcome, &error);
    if (error.status == 0) {
      error.status = kStatusOfFailed;
      if (error.code.empty() && error.type.empty()) error.code = "server_error";
    }
  } else {
    error = ReadApiError(reply.status, reply.body);
  }
  error.message = masked(std::move(error.message));
  error.code = masked(std::move(error.code));
  error.type = masked(std::move(error.type));
  if (!success || error.found) {
    Classify(error, &outcome);
    outcome.error = success && error.message.empty() ? "the API failed without a reason"
                                                     : Explain(error, reply.body, reply.secret);
  }
  if (!success) HonourShouldRetry(reply.headers, &outcome);
  ReadWait(reply, error.message, &outcome);
  if (outcome.kind != OutcomeKind::kDone) {
    outcome.error =
        PlainError(success ? 0 : reply.status, masked(std::move(outcome.error)), outcome.request_id);
  }
  outcome.model = PlainText(masked(std::move(outcome.model)), kMaxModelBytes);
  return outcome;
}

Outcome ReadTransportFailure(std::string_view code, std::string_view detail) {
  Outcome outcome;
  /* What refuses the URL, the server or the proxy holds for every row until a person changes something; the
   * rest may pass. */
  const bool refused = code == "bad_url" || code == "plain_http_refused" || code == "address_refused" ||
                       code == "certificate_refused" || code == "proxy_refused";
  outcome.kind = refused ? OutcomeKind::kBlock : OutcomeKind::kRetry;
  outcome.error_code = PlainText(code, kMaxCodeBytes);
  outcome.error = PlainError(0, detail, {});
  return outcome;
}

}  // namespace product_optimizer
