/*
 * url_test.cpp
 *   Which URLs may be called, with every disguise of "this machine" that came to mind.
 */
#include "http/url.h"

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

std::string Verdict(const std::string& url, bool allow = false) {
  return CheckUrl(url, allow).error_code;
}

TEST(CheckUrl, HttpsAnywhere) {
  EXPECT_EQ(Verdict("https://api.openai.com/v1/responses"), "");
  EXPECT_EQ(Verdict("HTTPS://api.openai.com"), "");
  const UrlCheck check = CheckUrl("https://api.openai.com/v1?x=1", false);
  EXPECT_EQ(check.origin, "https://api.openai.com:443");
  EXPECT_FALSE(check.plain_http);
}

TEST(CheckUrl, PlainHttpToThisMachine) {
  for (const char* url : {"http://localhost/", "http://LocalHost:8080/v1", "http://127.0.0.1/",
                          "http://[::1]/", "http://127.255.3.4:1/", "http://[0:0:0:0:0:0:0:1]:80/"}) {
    EXPECT_EQ(Verdict(url), "") << url;
    EXPECT_TRUE(CheckUrl(url, false).plain_http) << url;
  }
}

TEST(CheckUrl, PlainHttpElsewhere) {
  for (const char* url :
       {"http://example.com/", "http://localhost.evil.example/", "http://evil.example/localhost",
        "http://127.0.0.1.evil.example/", "http://128.0.0.1/", "http://0.0.0.0/", "http://[::]/",
        "http://[::ffff:10.0.0.1]/", "http://evil.example#@127.0.0.1/", "http://evil.example?@127.0.0.1/",
        "http://evil.example:80/127.0.0.1", "http://localhost.example/", "http://xlocalhost/"}) {
    EXPECT_EQ(Verdict(url), "plain_http_refused") << url;
    EXPECT_EQ(Verdict(url, true), "") << url;
  }
}

TEST(CheckUrl, NeverAllowed) {
  for (const char* url :
       {"", " ", "api.openai.com", "//api.openai.com/", "ftp://localhost/", "file:///etc/passwd", "https://",
        "http://127.0.0.1@evil.example/", "http://user:pw@127.0.0.1/", "https://key@api.openai.com/",
        "https://:pw@api.openai.com/", "http://@127.0.0.1/", "https://api.openai.com:99999/",
        "https://api.openai.com/a\nb", "https://api openai.com/", "gopher://127.0.0.1/", "https://[::1/"})
    EXPECT_EQ(Verdict(url, true), "bad_url") << url;
  EXPECT_EQ(Verdict(std::string("http://localhost\0.evil.example/", 31), true), "bad_url");
}

TEST(CheckUrl, ErrorsDoNotRepeatTheUrl) {
  const UrlCheck check = CheckUrl("https://secret@api.openai.com/", false);
  EXPECT_EQ(check.error.find("secret"), std::string::npos);
}

}  // namespace
}  // namespace product_optimizer
