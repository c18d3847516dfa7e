/*
 * reply.cpp
 *   The envelopes are put together as text: faster than a tree, and a fault may need what no tree holds.
 */
#include "reply.h"

#include <algorithm>
#include <string_view>

namespace mock_openai {
namespace {

using nlohmann::json;

constexpr int kDeepLevels = 100'000;
constexpr char kRefusal[] = "I'm sorry, but I can't help with that request.";

std::string Quote(const std::string& text) {
  return json(text).dump(-1, ' ', false, json::error_handler_t::replace);
}

std::string UsageText(const ApiRequest& request, const Usage& usage, Fault fault) {
  const bool chat = request.endpoint == Endpoint::kChat;
  const std::string in = chat ? "prompt_tokens" : "input_tokens";
  const std::string out = chat ? "completion_tokens" : "output_tokens";
  if (fault == Fault::kHugeUsage) {
    return "{\"" + in + "\":1e400,\"" + out +
           "\":99999999999999999999999,\"total_tokens\":-9223372036854775808}";
  }
  return "{\"" + in + "\":" + std::to_string(usage.prompt) + ",\"" + in +
         "_details\":{\"cached_tokens\":0},\"" + out + "\":" + std::to_string(usage.completion) + ",\"" +
         out + "_details\":{\"reasoning_tokens\":" + std::to_string(usage.reasoning) +
         "},\"total_tokens\":" + std::to_string(usage.prompt + usage.completion) + "}";
}

std::string UsageMember(const ApiRequest& request, const Usage& usage, Fault fault) {
  return fault == Fault::kNoUsage ? "" : ",\"usage\":" + UsageText(request, usage, fault);
}

std::string ChatBody(const ApiRequest& request, const Answer& answer, Fault fault, const std::string& id,
                     std::int64_t now) {
  std::string content = Quote(answer.content), refusal = "null", finish = "stop";
  if (fault == Fault::kRefusal) {
    content = "null";
    refusal = Quote(kRefusal);
  } else if (fault == Fault::kLength) {
    content = "\"\"";
    finish = "length";
  } else if (fault == Fault::kContentFilter) {
    content = "\"\"";
    finish = "content_filter";
  }
  const json& tier = Member(request.body, "service_tier");
  return "{\"id\":\"chatcmpl-" + id + "\",\"object\":\"chat.completion\",\"created\":" + std::to_string(now) +
         ",\"model\":" + Quote(request.model) +
         ",\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\"," + "\"content\":" + content +
         ",\"refusal\":" + refusal + ",\"annotations\":[]},\"logprobs\":null," + "\"finish_reason\":\"" +
         finish + "\"}]" + UsageMember(request, answer.usage, fault) +
         ",\"service_tier\":" + (tier.is_string() && tier != "auto" ? tier.dump() : "\"default\"") +
         ",\"system_fingerprint\":null}";
}

std::string ResponsesBody(const ApiRequest& request, const Answer& answer, Fault fault, const std::string& id,
                          std::int64_t now) {
  std::string status = "completed", error = "null", incomplete = "null";
  std::string part = "{\"type\":\"output_text\",\"text\":" + Quote(answer.content) + ",\"annotations\":[]}";
  bool has_message = true;
  if (fault == Fault::kRefusal) {
    part = "{\"type\":\"refusal\",\"refusal\":" + Quote(kRefusal) + "}";
  } else if (fault == Fault::kLength || fault == Fault::kContentFilter) {
    status = "incomplete";
    incomplete =
        fault == Fault::kLength ? "{\"reason\":\"max_output_tokens\"}" : "{\"reason\":\"content_filter\"}";
    has_message = false;
  } else if (fault == Fault::kFailed) {
    status = "failed";
    error = "{\"code\":\"server_error\",\"message\":\"The model failed to generate a response.\"}";
    has_message = false;
  }
  std::string output = "[{\"type\":\"reasoning\",\"id\":\"rs_" + id + "\",\"summary\":[]}";
  if (has_message) {
    output += ",{\"type\":\"message\",\"id\":\"msg_" + id +
              "\",\"role\":\"assistant\",\"status\":\"completed\",\"content\":[" + part + "]}";
  }
  output += "]";
  return "{\"id\":\"resp_" + id + "\",\"object\":\"response\",\"created_at\":" + std::to_string(now) +
         ",\"status\":\"" + status + "\",\"error\":" + error + ",\"incomplete_details\":" + incomplete +
         ",\"model\":" + Quote(request.model) + ",\"output\":" + (fault == Fault::kFailed ? "[]" : output) +
         ",\"store\":" + (Member(request.body, "store") == false ? "false" : "true") +
         (fault == Fault::kFailed ? ",\"usage\":null" : UsageMember(request, answer.usage, fault)) + "}";
}

std::string WrongTypes(Endpoint endpoint) {
  if (endpoint == Endpoint::kChat) {
    return R"({"id":5,"object":["chat"],"created":"now","model":{"name":1},"choices":[{"index":"0",)"
           R"("message":{"role":1,"content":{"text":5},"refusal":[]},"finish_reason":7}],)"
           R"("usage":{"prompt_tokens":"19","completion_tokens":[10],"total_tokens":null}})";
  }
  return R"({"id":5,"object":"response","status":1,"error":"none","incomplete_details":[],"model":[],)"
         R"("output":[{"type":"message","content":{"0":5}},7,null,{"type":3}],"usage":["many"]})";
}

/* Replaces the marker by bytes that are UTF-8 nowhere: a lone lead, an overlong NUL, a surrogate. */
void SpoilUtf8(std::string* body) {
  const std::string_view marker = kBadUtf8Marker;
  for (std::size_t at = body->find(marker); at != std::string::npos; at = body->find(marker, at)) {
    body->replace(at, marker.size(), "\xff\xfe\xc3\x28\xc0\x80\xed\xa0\x80\xf5\x80");
  }
}

}  // namespace

std::string ReplyBody(const ApiRequest& request, const Answer& answer, Fault fault, std::uint64_t number,
                      std::int64_t unix_seconds) {
  switch (fault) {
    case Fault::kGarbage:
      return "upstream says: {{{ <not json> \x01\x02 }}, \"choices\": [";
    case Fault::kHtml:
      return "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>It "
             "works!</h1></body></html>\n";
    case Fault::kEmpty:
      return "";
    case Fault::kDeep:
      return std::string(kDeepLevels, '[') + std::string(kDeepLevels, ']');
    case Fault::kWrongTypes:
      return WrongTypes(request.endpoint);
    default:
      break;
  }
  if (fault == Fault::kFailed && request.endpoint == Endpoint::kChat) {
    return ErrorBody({200, "The model failed to generate a response.", "server_error", "", "server_error"});
  }
  const std::string id = "mock" + std::to_string(number);
  std::string body = request.endpoint == Endpoint::kChat
                         ? ChatBody(request, answer, fault, id, unix_seconds)
                         : ResponsesBody(request, answer, fault, id, unix_seconds);
  if (fault == Fault::kBadUtf8) SpoilUtf8(&body);
  return body;
}

}  // namespace mock_openai
