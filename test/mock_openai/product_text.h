/*
 * product_text.h
 *   The copywriter of the mock: turns a product into a title and descriptions that read well, always the
 *   same for the same product.
 */
#pragma once

#include <cstdint>
#include <string>

namespace mock_openai {

struct Product {
  std::string title;
  std::string description;
};

std::string ImprovedTitle(const Product& product);
std::string ImprovedDescription(const Product& product); /* two sentences that quote the title as it was */
std::string SeoTitle(const Product& product);            /* at most 60 characters */
std::string SeoDescription(const Product& product);      /* at most 155 characters */

/* At most `limit` code points, cut between words where that is possible. */
std::string CutToLength(const std::string& text, std::size_t limit);

/* FNV-1a: the same on every machine, unlike std::hash. */
std::uint64_t StableHash(const std::string& text);

}  // namespace mock_openai
