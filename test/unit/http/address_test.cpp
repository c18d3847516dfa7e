/*
 * address_test.cpp
 *   Every disguise of this machine and of a metadata service, and the neighbours that must stay reachable.
 */
#include "http/address.h"

#include <gtest/gtest.h>

#include <arpa/inet.h>
#include <netinet/in.h>

namespace product_optimizer {
namespace {

AddressKind KindOf(const std::string& text) {
  sockaddr_in six_or_four[2]{};
  auto* four = reinterpret_cast<sockaddr_in*>(six_or_four);
  auto* six = reinterpret_cast<sockaddr_in6*>(six_or_four);
  if (inet_pton(AF_INET, text.c_str(), &four->sin_addr) == 1) {
    four->sin_family = AF_INET;
    return ClassifyAddress(reinterpret_cast<sockaddr*>(four), sizeof *four);
  }
  EXPECT_EQ(inet_pton(AF_INET6, text.c_str(), &six->sin6_addr), 1) << text;
  six->sin6_family = AF_INET6;
  return ClassifyAddress(reinterpret_cast<sockaddr*>(six), sizeof *six);
}

TEST(ClassifyAddress, Forbidden) {
  for (const char* text :
       {"169.254.169.254", "169.254.170.2",    "169.254.0.0",  "169.254.255.255", "100.100.100.200",
        "192.0.0.192",     "168.63.129.16",    "0.0.0.0",      "0.1.2.3",         "224.0.0.1",
        "239.255.255.255", "255.255.255.255",  "::",           "fe80::1",         "febf:ffff::1",
        "ff02::1",         "fd00:ec2::254",    "fd00:ec2::23", "fd20:ce::254",    "fd00:c1::a9fe:a9fe",
        "fd00:42::42",     "fd00:100::100:200"})
    EXPECT_EQ(KindOf(text), AddressKind::kForbidden) << text;
}

TEST(ClassifyAddress, ForbiddenInsideAnother) {
  for (const char* text : {"::ffff:169.254.169.254", "::ffff:0:169.254.169.254", "::169.254.169.254",
                           "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe", "64:ff9b:1::169.254.169.254",
                           "64:ff9b:1:2:3::100.100.100.200", "64:ff9b:1:a9fe:a9:fe00::", "64:ff9b:1::8.8.8.8",
                           "2002:a9fe:a9fe::1", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "64:ff9b::0.0.0.0"})
    EXPECT_EQ(KindOf(text), AddressKind::kForbidden) << text;
}

TEST(ClassifyAddress, Loopback) {
  for (const char* text : {"127.0.0.1", "127.255.255.255", "127.0.1.1", "::1", "::ffff:127.0.0.1",
                           "64:ff9b::127.0.0.1", "2002:7f00:1::1", "::127.0.0.1"})
    EXPECT_EQ(KindOf(text), AddressKind::kLoopback) << text;
}

TEST(ClassifyAddress, Ordinary) {
  for (const char* text : {"10.0.0.1",
                           "172.16.0.1",
                           "192.168.1.1",
                           "100.64.0.1",
                           "100.100.100.199",
                           "100.100.100.201",
                           "169.253.255.255",
                           "169.255.0.0",
                           "1.0.0.0",
                           "126.255.255.255",
                           "128.0.0.1",
                           "192.0.0.191",
                           "223.255.255.255",
                           "240.0.0.1",
                           "255.255.255.254",
                           "104.18.6.192",
                           "2606:4700::1",
                           "fd00::1",
                           "fd00:ec3::254",
                           "fd20:ce::253",
                           "fec0::1",
                           "fd00:c1::a9fe:a9ff",
                           "fd00:42::43",
                           "fd00:100::100:201",
                           "fe7f::1",
                           "64:ff9b::8.8.8.8",
                           "64:ff9c::169.254.169.254",
                           "2003:a9fe:a9fe::1",
                           "::ffff:10.0.0.1",
                           "1::ffff:169.254.169.254"})
    EXPECT_EQ(KindOf(text), AddressKind::kOrdinary) << text;
}

TEST(ClassifyAddress, WhatIsNoIpAddress) {
  sockaddr_in four{};
  four.sin_family = AF_INET;
  four.sin_addr.s_addr = htonl(0x0a000001);
  auto* address = reinterpret_cast<sockaddr*>(&four);
  EXPECT_EQ(ClassifyAddress(address, sizeof four), AddressKind::kOrdinary);
  EXPECT_EQ(ClassifyAddress(address, sizeof four - 1), AddressKind::kForbidden);
  four.sin_family = AF_INET6;
  EXPECT_EQ(ClassifyAddress(address, sizeof four), AddressKind::kForbidden);
  four.sin_family = AF_UNIX;
  EXPECT_EQ(ClassifyAddress(address, sizeof four), AddressKind::kForbidden);
}

TEST(ClassifyHost, NamesAndLiterals) {
  for (const char* host : {"localhost", "LOCALHOST", "127.0.0.1", "127.9.9.9", "[::1]"})
    EXPECT_EQ(ClassifyHost(host), HostKind::kLoopback) << host;
  for (const char* host : {"169.254.169.254", "10.0.0.1", "[fe80::1]", "[::ffff:127.0.0.1]", "0.0.0.0"})
    EXPECT_EQ(ClassifyHost(host), HostKind::kLiteral) << host;
  for (const char* host : {"", "[", "[]", "api.openai.com", "localhost.", "127.0.0.1.evil.example", "127.1",
                           "::1", "[::1", "[localhost]", "localhost.evil.example"})
    EXPECT_EQ(ClassifyHost(host), HostKind::kName) << host;
}

TEST(MayConnect, EachPair) {
  using A = AddressKind;
  using H = HostKind;
  EXPECT_TRUE(MayConnect(H::kName, A::kOrdinary));
  EXPECT_FALSE(MayConnect(H::kName, A::kLoopback));
  EXPECT_FALSE(MayConnect(H::kName, A::kForbidden));
  EXPECT_FALSE(MayConnect(H::kLoopback, A::kOrdinary));
  EXPECT_TRUE(MayConnect(H::kLoopback, A::kLoopback));
  EXPECT_FALSE(MayConnect(H::kLoopback, A::kForbidden));
  for (const A address : {A::kOrdinary, A::kLoopback, A::kForbidden})
    EXPECT_TRUE(MayConnect(H::kLiteral, address));
}

}  // namespace
}  // namespace product_optimizer
