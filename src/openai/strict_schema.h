/*
 * strict_schema.h
 *   Whether the API would take a JSON schema in its strict mode, which refuses what it cannot enforce.
 */
#pragma once

#include <string_view>

namespace product_optimizer {

/*
 * True when every object lists all its properties as required and allows no others, every value has a
 * type, every array says of what, and no keyword outside of the supported subset appears.  In doubt false:
 * a schema sent as not strict always works.  schema: JSON text that CleanUp() returned with
 * NumberRule::kForReal.
 */
bool IsStrictSchema(std::string_view schema);

}  // namespace product_optimizer
