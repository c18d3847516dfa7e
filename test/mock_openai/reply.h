/*
 * reply.h
 *   Bodies of the API's answers, and complete HTTP messages around them.
 */
#pragma once

#include <cstdint>
#include <string>

#include "answer.h"
#include "api_request.h"
#include "fault.h"

namespace mock_openai {

/* The 200 body of either endpoint, bent by the faults that bend bodies. */
std::string ReplyBody(const ApiRequest& request, const Answer& answer, Fault fault, std::uint64_t number,
                      std::int64_t unix_seconds);

struct HttpReply {
  int status = 200;
  std::string content_type = "application/json";
  std::string headers; /* complete lines, each with CRLF */
  std::string body;
};

/* The whole message.  With `chunked` the head announces chunks and the body is left out. */
std::string HttpText(const HttpReply& reply, bool keep_alive, bool chunked = false);

/* The reply of a fault that has nothing to do with what was asked; false when the fault has none. */
bool FaultReply(Fault fault, const std::string& model, const std::string& key,
                const std::string& organization, HttpReply* reply);

/* The error, with the headers that tell when to come back. */
HttpReply ErrorReply(const ApiError& error);

}  // namespace mock_openai
