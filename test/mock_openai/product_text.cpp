/*
 * product_text.cpp
 *   Tidies what shops type ("MENS T-SHIRT!!  blue") and adds a benefit that fits its words.
 */
#include "product_text.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <vector>

namespace mock_openai {
namespace {

struct Benefit {
  std::string_view words; /* any of these in the product, separated by spaces */
  std::string_view tag;   /* after the title */
  std::string_view sentence;
};

constexpr Benefit kBenefits[] = {
    {"cotton shirt tee dress hoodie sweater sock jeans", "Soft All-Day Comfort",
     "feels soft from the first wear and keeps its shape wash after wash"},
    {"steel pan knife pot kitchen cook", "Built for Daily Cooking",
     "heats evenly, cleans up fast and is made to last for years"},
    {"wireless bluetooth speaker headphone earbud audio", "Clear Sound, No Wires",
     "pairs in seconds and fills the room with clear, balanced sound"},
    {"usb cable charger battery power adapter", "Fast, Safe Charging",
     "charges quickly, stays cool and fits the devices you already own"},
    {"wood oak table chair desk shelf lamp sofa", "Warm, Lasting Design",
     "brings a warm, tidy look to any room and stands up to daily use"},
    {"coffee tea mug bottle cup glass", "A Better Daily Cup",
     "keeps every sip just right, at home or on the go"},
    {"shoe boot sneaker sandal run", "Light on Every Step",
     "cushions every step and grips well on wet ground"},
    {"toy kid baby game puzzle", "Safe Fun for Small Hands",
     "keeps small hands busy for hours with safe, sturdy parts"},
    {"bag backpack wallet case", "Room for Everything",
     "keeps everything in its place with strong seams and smooth zips"},
    {"cream soap oil skin hair shampoo", "Gentle Daily Care",
     "cares for skin and hair gently, without harsh ingredients"},
};

constexpr Benefit kOthers[] = {
    {"", "Made to Last", "is carefully made from durable materials for years of everyday use"},
    {"", "Simple and Reliable", "does its job quietly and well, day after day"},
    {"", "Everyday Value", "gives you dependable quality at a fair price"},
    {"", "Ready to Use", "works right out of the box, with nothing else to buy"},
};

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words(1);
  for (const char c : text) {
    if (std::isspace(static_cast<unsigned char>(c)) || c == '_') {
      if (!words.back().empty()) words.emplace_back();
    } else {
      words.back() += c;
    }
  }
  if (words.back().empty()) words.pop_back();
  return words;
}

bool IsSmallWord(const std::string& word) {
  static const char* const kSmall[] = {"a", "an", "and", "for", "in", "of", "on", "or", "the", "to", "with"};
  return std::any_of(std::begin(kSmall), std::end(kSmall), [&](const char* small) { return word == small; });
}

/* Sizes and the like, which are capitals in any title. */
bool IsAcronym(const std::string& lower) {
  static const char* const kAcronyms[] = {"xs",  "xl", "xxl", "xxxl", "usb", "usb-c",
                                          "led", "tv", "hd",  "diy",  "uk",  "eu"};
  return std::any_of(std::begin(kAcronyms), std::end(kAcronyms),
                     [&](const char* one) { return lower == one; });
}

/* Has the shop typed everything in capitals?  Then capitals say nothing about brands and sizes. */
bool Shouts(const std::string& text) {
  int upper = 0, lower = 0;
  for (const unsigned char c : text) {
    upper += std::isupper(c) != 0;
    lower += std::islower(c) != 0;
  }
  return upper > 6 && upper > lower;
}

std::string TitleCaseWord(std::string word, bool first, bool shouted) {
  while (word.size() > 1 && std::string_view("!?.,;:*~").find(word.back()) != std::string_view::npos) {
    word.pop_back();
  }
  const bool has_digit =
      std::any_of(word.begin(), word.end(), [](unsigned char c) { return std::isdigit(c); });
  if (has_digit) return word;
  std::string lower = Lower(word);
  if (!first && IsSmallWord(lower)) return lower;
  if (IsAcronym(lower)) {
    for (char& c : word) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    return word;
  }
  if (!shouted && word != lower) return word; /* a brand, or already in order */
  std::string result = lower;
  bool start = true;
  for (char& c : result) {
    if (start) c = static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
    start = c == '-' || c == '/' || c == '(';
  }
  return result;
}

std::string TidyTitle(const std::string& title) {
  const bool shouted = Shouts(title);
  std::string tidy;
  for (const std::string& word : Words(title)) {
    if (!tidy.empty()) tidy += ' ';
    tidy += TitleCaseWord(word, tidy.empty(), shouted);
  }
  return tidy.empty() ? "Untitled Product" : tidy;
}

const Benefit& BenefitOf(const Product& product) {
  const std::string text = Lower(product.title + " " + product.description);
  for (const Benefit& benefit : kBenefits) {
    for (std::string_view rest = benefit.words; !rest.empty();) {
      const std::size_t length = std::min(rest.find(' '), rest.size());
      if (text.find(rest.substr(0, length)) != std::string::npos) return benefit;
      rest.remove_prefix(std::min(length + 1, rest.size()));
    }
  }
  return kOthers[StableHash(product.title) % (sizeof kOthers / sizeof kOthers[0])];
}

/* The first sentence of the shop's own description, tidied and ended with a full stop. */
std::string OwnSentence(const Product& product) {
  std::string sentence;
  for (const std::string& word : Words(product.description)) {
    sentence += (sentence.empty() ? "" : " ") + word;
    if (word.size() > 2 && (word.back() == '.' || word.back() == '!')) break;
  }
  while (!sentence.empty() && std::string_view(".!?,; ").find(sentence.back()) != std::string_view::npos) {
    sentence.pop_back();
  }
  if (sentence.empty()) return "Order today and see the difference for yourself.";
  if (Shouts(sentence)) sentence = Lower(sentence);
  sentence[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(sentence[0])));
  return sentence + ".";
}

}  // namespace

std::uint64_t StableHash(const std::string& text) {
  std::uint64_t hash = 14695981039346656037ULL;
  for (const unsigned char c : text) hash = (hash ^ c) * 1099511628211ULL;
  return hash;
}

std::string CutToLength(const std::string& text, std::size_t limit) {
  std::size_t count = 0, last_space = std::string::npos;
  for (std::size_t i = 0; i < text.size(); i++) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) == 0x80) continue;
    if (text[i] == ' ') last_space = i;
    if (count++ < limit) continue;
    /* text[i] is the first code point too many. */
    std::size_t end = last_space != std::string::npos && last_space > limit / 2 ? last_space : i;
    while (end > 0 && std::string_view(" ,;:-|").find(text[end - 1]) != std::string_view::npos) end--;
    return text.substr(0, end);
  }
  return text;
}

std::string ImprovedTitle(const Product& product) {
  return TidyTitle(product.title) + " – " + std::string(BenefitOf(product).tag);
}

std::string ImprovedDescription(const Product& product) {
  const std::string name = product.title.empty() ? "This product" : product.title;
  return name + " " + std::string(BenefitOf(product).sentence) + ". " + OwnSentence(product);
}

std::string SeoTitle(const Product& product) {
  const std::string tidy = TidyTitle(product.title);
  const std::string full = tidy + " | " + std::string(BenefitOf(product).tag);
  return CutToLength(full, 60) == full ? full : CutToLength(tidy, 60);
}

std::string SeoDescription(const Product& product) {
  return CutToLength(
      "Buy " + TidyTitle(product.title) + ": " + std::string(BenefitOf(product).sentence) + ". Free returns.",
      155);
}

}  // namespace mock_openai
