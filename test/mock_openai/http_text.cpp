/*
 * http_text.cpp
 *   HTTP messages as text, and the faults that are nothing but a status and a body.
 */
#include <string>

#include "reply.h"

namespace mock_openai {
namespace {

const char* Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 302:
      return "Found";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Payload Too Large";
    case 429:
      return "Too Many Requests";
    case 500:
      return "Internal Server Error";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    default:
      return "Status";
  }
}

ApiError ServerError(int status, const std::string& message, const std::string& code = "") {
  return {status, message, "server_error", "", code};
}

}  // namespace

std::string HttpText(const HttpReply& reply, bool keep_alive, bool chunked) {
  std::string text = "HTTP/1.1 " + std::to_string(reply.status) + " " + Reason(reply.status) +
                     "\r\nServer: mock_openai\r\nContent-Type: " + reply.content_type + "\r\n" +
                     reply.headers;
  if (!keep_alive) text += "Connection: close\r\n";
  if (chunked) return text + "Transfer-Encoding: chunked\r\n\r\n";
  text += "Content-Length: " + std::to_string(reply.body.size()) + "\r\n\r\n";
  return text + reply.body;
}

HttpReply ErrorReply(const ApiError& error) {
  HttpReply reply;
  reply.status = error.status;
  reply.body = ErrorBody(error);
  if (error.retry_after_ms >= 0) {
    reply.headers = "retry-after: " + std::to_string((error.retry_after_ms + 999) / 1000) +
                    "\r\nretry-after-ms: " + std::to_string(error.retry_after_ms) + "\r\n";
  }
  return reply;
}

bool FaultReply(Fault fault, const std::string& model, const std::string& key,
                const std::string& organization, HttpReply* reply) {
  switch (fault) {
    case Fault::kHttp500:
      *reply = ErrorReply(
          ServerError(500, "The server had an error while processing your request. Sorry about that!"));
      return true;
    case Fault::kHttp502Html:
      reply->status = 502;
      reply->content_type = "text/html";
      reply->body =
          "<html>\r\n<head><title>502 Bad Gateway</title></head>\r\n<body>\r\n<center><h1>502 Bad "
          "Gateway</h1></center>\r\n<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n";
      return true;
    case Fault::kHttp503:
      *reply = ErrorReply(ServerError(503, "The engine is currently overloaded, please try again later.",
                                      "server_is_overloaded"));
      return true;
    case Fault::kHttp504:
      *reply = ErrorReply(ServerError(504, "The upstream server did not answer in time."));
      return true;
    case Fault::kHttp408:
      *reply = ErrorReply(ServerError(408, "Request timed out."));
      return true;
    case Fault::kHttp409:
      *reply = ErrorReply({409, "The resource was updated by another request. Please try again.",
                           "invalid_request_error", "", "conflict"});
      return true;
    case Fault::kUnauthorized:
      *reply = ErrorReply(WrongKey(key));
      return true;
    case Fault::kForbidden:
      *reply = ErrorReply({403, "Country, region, or territory not supported", "request_forbidden", "",
                           "unsupported_country_region_territory"});
      return true;
    case Fault::kModelGone:
      *reply = ErrorReply(ModelNotFound(model));
      return true;
    case Fault::kBadRequest:
      *reply = ErrorReply({400, "Invalid 'messages[1].content': the mock was told to refuse this one.",
                           "invalid_request_error", "messages[1].content", "invalid_value"});
      return true;
    case Fault::kRedirect:
      reply->status = 302;
      reply->content_type = "text/plain";
      reply->headers = "Location: http://127.0.0.1:1/\r\n";
      reply->body = "moved\n";
      return true;
    case Fault::kInsufficientQuota:
      *reply = ErrorReply({429,
                           "You exceeded your current quota, please check your plan and billing details. For "
                           "more information on this error, read the docs: "
                           "https://platform.openai.com/docs/guides/error-codes/api-errors.",
                           "insufficient_quota", "", "insufficient_quota"});
      return true;
    case Fault::kSlowDown: {
      ApiError error{429, "Slow down: your request rate grew too quickly. Please try again in 500ms.",
                     "rate_limit_error", "", "slow_down"};
      error.retry_after_ms = 500;
      *reply = ErrorReply(error);
      return true;
    }
    case Fault::kRateLimit:
      *reply =
          ErrorReply(RateLimited({Verdict::Kind::kRequests, 500, 500, 1, 300'000'000}, model, organization));
      return true;
    case Fault::kTooLarge:
      *reply = ErrorReply(RateLimited({Verdict::Kind::kTooLarge, 30000, 0, 36055, 0}, model, organization));
      return true;
    default:
      return false;
  }
}

}  // namespace mock_openai
