/*
 * text_test.cpp
 *   Text hygiene against every kind of broken UTF-8.
 */
#include "core/text.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

namespace product_optimizer {
namespace {

const std::string kFffd = "\xEF\xBF\xBD";

struct Utf8Case {
  const char* name;
  std::string bytes;
  std::string sanitized; /* equal to bytes where they are valid */
};

class Utf8Test : public testing::TestWithParam<Utf8Case> {};

TEST_P(Utf8Test, ValidatesAndSanitizes) {
  const Utf8Case& c = GetParam();
  const std::vector<char> exact(c.bytes.begin(),
                                c.bytes.end()); /* no NUL behind it: a sanitizer sees a step too far */
  EXPECT_EQ(SanitizeUtf8(std::string_view(exact.data(), exact.size())), c.sanitized);
  EXPECT_EQ(IsValidUtf8(c.bytes), c.bytes == c.sanitized);
  EXPECT_EQ(SanitizeUtf8(c.bytes), c.sanitized);
  EXPECT_TRUE(IsValidUtf8(SanitizeUtf8(c.bytes)));
}

INSTANTIATE_TEST_SUITE_P(
    Text, Utf8Test,
    testing::Values(
        Utf8Case{"Empty", "", ""}, Utf8Case{"Ascii", "plain\x7F", "plain\x7F"},
        Utf8Case{"TwoBytesFirst", "\xC2\x80", "\xC2\x80"}, Utf8Case{"TwoBytesLast", "\xDF\xBF", "\xDF\xBF"},
        Utf8Case{"ThreeBytesFirst", "\xE0\xA0\x80", "\xE0\xA0\x80"},
        Utf8Case{"BelowSurrogates", "\xED\x9F\xBF", "\xED\x9F\xBF"},
        Utf8Case{"AboveSurrogates", "\xEE\x80\x80", "\xEE\x80\x80"},
        Utf8Case{"FourBytesFirst", "\xF0\x90\x80\x80", "\xF0\x90\x80\x80"},
        Utf8Case{"FourBytesLast", "\xF4\x8F\xBF\xBF", "\xF4\x8F\xBF\xBF"},
        Utf8Case{"LoneContinuation", "a\x80z", "a" + kFffd + "z"},
        Utf8Case{"OverlongTwo", "\xC0\xAF", kFffd + kFffd}, Utf8Case{"OverlongC1", "\xC1\xBF", kFffd + kFffd},
        Utf8Case{"OverlongThree", "\xE0\x9F\xBF", kFffd + kFffd + kFffd},
        Utf8Case{"OverlongFour", "\xF0\x8F\xBF\xBF", kFffd + kFffd + kFffd + kFffd},
        Utf8Case{"SurrogateHigh", "\xED\xA0\x80", kFffd + kFffd + kFffd},
        Utf8Case{"SurrogateLow", "\xED\xBF\xBF", kFffd + kFffd + kFffd},
        Utf8Case{"BeyondUnicode", "\xF4\x90\x80\x80", kFffd + kFffd + kFffd + kFffd},
        Utf8Case{"F5", "\xF5\x80", kFffd + kFffd}, Utf8Case{"FF", "\xFF", kFffd},
        Utf8Case{"CutTwo", "a\xC3", "a" + kFffd}, Utf8Case{"CutThree", "a\xE2\x82", "a" + kFffd},
        Utf8Case{"CutFour", "a\xF0\x9F\x98", "a" + kFffd}, Utf8Case{"CutInside", "\xE2\x82z", kFffd + "z"},
        Utf8Case{"CutByAnother", "\xF0\x9F\xC3\xA4", kFffd + "\xC3\xA4"}),
    [](const auto& test) { return std::string(test.param.name); });

TEST(TextTest, NulIsValidUtf8ButSanitizedAway) {
  const std::string bytes("a\0b", 3);
  EXPECT_TRUE(IsValidUtf8(bytes));
  EXPECT_EQ(SanitizeUtf8(bytes), "a" + kFffd + "b");
}

TEST(TextTest, CountsCharacters) {
  EXPECT_EQ(Utf8Length(""), 0u);
  EXPECT_EQ(Utf8Length("abc"), 3u);
  EXPECT_EQ(Utf8Length("\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80"), 3u);
}

TEST(TextTest, TruncatesBetweenCharacters) {
  const std::string text = "a\xE2\x82\xAC\xF0\x9F\x98\x80";
  EXPECT_EQ(Truncate(text, 100), text);
  EXPECT_EQ(Truncate(text, text.size()), text);
  EXPECT_EQ(Truncate(text, text.size() - 1), "a\xE2\x82\xAC");
  EXPECT_EQ(Truncate(text, 4), "a\xE2\x82\xAC");
  EXPECT_EQ(Truncate(text, 3), "a");
  EXPECT_EQ(Truncate(text, 1), "a");
  EXPECT_EQ(Truncate(text, 0), "");
  EXPECT_EQ(Truncate("\xE2\x82\xAC", 2), "");
}

TEST(TextTest, OneLineHasNoControls) {
  EXPECT_EQ(OneLine("a\r\nb\tc", 100), "a b c");
  EXPECT_EQ(OneLine("  a  \x01\x1B\x7F b\n", 100), "a b");
  EXPECT_EQ(OneLine("a\xC2\x85"
                    "b\xC2\x9Bz",
                    100),
            "a b z")
      << "C1 controls";
  EXPECT_EQ(OneLine("a\xE2\x80\xA8"
                    "b\xE2\x80\xA9"
                    "c",
                    100),
            "a b c")
      << "line and paragraph separators";
  EXPECT_EQ(OneLine("a\xE2\x80\xAE"
                    "b",
                    100),
            "a b")
      << "right-to-left override";
  EXPECT_EQ(OneLine(std::string("a\0\xFFz", 4), 100), "a" + kFffd + kFffd + "z");
  EXPECT_EQ(OneLine("\n\n\n", 100), "");
  EXPECT_EQ(OneLine("", 100), "");
}

TEST(TextTest, OneLineIsCutAtCharacters) {
  EXPECT_EQ(OneLine("abcd", 4), "abcd");
  EXPECT_EQ(OneLine("abcd\n", 4), "abcd") << "a blank at the end is nothing to cut";
  EXPECT_EQ(OneLine("abcde", 4), "abc\xE2\x80\xA6");
  EXPECT_EQ(OneLine("\xC3\xA4\xC3\xB6\xC3\xBC", 2), "\xC3\xA4\xE2\x80\xA6");
  EXPECT_EQ(OneLine("abc d", 4), "abc\xE2\x80\xA6");
  EXPECT_EQ(OneLine("ab", 1), "\xE2\x80\xA6");
  EXPECT_EQ(OneLine("a", 0), "");
  EXPECT_EQ(Utf8Length(OneLine(std::string(1000, 'x'), 64)), 64u);
}

}  // namespace
}  // namespace product_optimizer
