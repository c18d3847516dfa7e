/*
 * answer.h
 *   The body of a successful reply, in both forms of the API.
 */
#pragma once

#include <string>
#include <string_view>

#include "core/outcome.h"
#include "openai/error_class.h"
#include "openai/request.h"

namespace product_optimizer {

/*
 * Fills the outcome: kind, result, model, tokens (also of answers that are not usable: they are
 * billed), error (a bare message) and error_code.  Where the body holds an error of the API instead of
 * an answer (a Responses status "failed", or an "error" sent with status 200), that is in *api_error
 * with found set, and the caller classifies it.  model and error are as long as they came, and may quote the
 * key.
 */
void ReadAnswer(Api api, std::string_view body, Outcome* outcome, ApiError* api_error);

/*
 * What the model wrote as JSON text that jsonb accepts: an object or an array (also in a Markdown
 * fence) as it is, digit for digit; anything else, or what jsonb could not hold, as a JSON string.
 * content: valid UTF-8.
 */
std::string ContentToJson(std::string_view content);

}  // namespace product_optimizer
