/*
 * server_readings_test.cpp
 *   What single readings of the server's bucket make us believe.
 */
#include "core/server_level.h"

#include <gtest/gtest.h>

namespace product_optimizer {
namespace {

constexpr std::uint64_t kSecond = 1'000'000'000;
constexpr std::uint64_t kMinute = 60 * kSecond;
constexpr std::uint64_t kStart = 1000 * kSecond;
const UsageWindow kNoUse;

/* A server level that has been believed: it drained from 400 to 300. */
ServerLevel Believed() {
  ServerLevel server{};
  LearnFromServer(server, kStart, {500, 100, 48'000}, {});
  LearnFromServer(server, kStart + 12 * kSecond, {500, 200, 36'000}, {});
  return server;
}

TEST(ServerReadings, NothingIsKnownBeforeTheServerWasSeenToDrain) {
  ServerLevel server{};
  EXPECT_EQ(ServerWait(server, kNoUse, kStart, 1'000'000), 0u);
  EXPECT_EQ(ServerRoom(server, kNoUse, kStart), INT64_MAX);
  LearnFromServer(server, kStart, {500, 10, 58'800}, {});
  EXPECT_EQ(ServerWait(server, kNoUse, kStart, 1), 0u);
  EXPECT_GT(ServerWait(Believed(), kNoUse, kStart + 12 * kSecond, 400), 0u);
}

TEST(ServerReadings, ReadingsThatCannotBeAreIgnored) {
  ServerLevel server{};
  const ServerMark mark;
  LearnFromServer(server, kStart, {500, 0, 60'000}, mark); /* it let us through all the same */
  EXPECT_EQ(server.limit, 0);
  LearnFromServer(server, kStart, {500, 500, 0}, mark);
  LearnFromServer(server, kStart, {500, 100, 0}, mark);
  EXPECT_EQ(ServerWait(server, kNoUse, kStart, 400), 0u);
  /* A day's bucket, also one that drains continuously. */
  ServerLevel daily{};
  LearnFromServer(daily, kStart, {10'000, 6'000, 34'560'000}, mark);
  LearnFromServer(daily, kStart + kSecond, {10'000, 3'000, 60'480'000}, mark);
  EXPECT_EQ(ServerWait(daily, kNoUse, kStart, 7'000), 0u);
}

TEST(ServerReadings, OneReadingThatContradictsEndsTheBelief) {
  ServerLevel server = Believed();
  LearnFromServer(server, kStart + 13 * kSecond, {500, 100, 1'000}, {});
  EXPECT_EQ(ServerWait(server, kNoUse, kStart + 13 * kSecond, 400), 0u);
}

TEST(ServerReadings, ANewLimitBeginsAnew) {
  ServerLevel server = Believed();
  LearnFromServer(server, kStart + 13 * kSecond, {5'000, 4'000, 12'000}, {});
  EXPECT_EQ(server.limit, 5'000);
  EXPECT_EQ(ServerWait(server, kNoUse, kStart + 13 * kSecond, 4'000), 0u);
}

TEST(ServerReadings, WhatIsInFlightIsNotCountedTwice) {
  ServerLevel server = Believed();
  const std::uint64_t now = kStart + 12 * kSecond;
  ServerMark marks[20];
  for (ServerMark& mark : marks) mark = ChargeServer(server, kNoUse, now, 1);
  EXPECT_NEAR(server.level, 320, 1e-6);
  /* Somebody else had taken 40 before; each of the answers shows it. */
  for (int i = 0; i < 20; i++)
    LearnFromServer(server, now, {500, 500 - (341 + i), (341 + i) * 120}, marks[i]);
  EXPECT_NEAR(server.level, 360, 1e-6);
}

TEST(ServerReadings, NoWaitIsForEver) {
  ServerLevel server = Believed();
  EXPECT_LE(ServerWait(server, kNoUse, kStart, INT64_MAX / 2), kMinute);
  EXPECT_EQ(ServerWait(server, kNoUse, kStart + 2 * kMinute, INT64_MAX / 2),
            0u); /* it is empty: only a try can tell */
  ChargeServer(server, kNoUse, kStart, INT64_MAX);
  EXPECT_LE(ServerWait(server, kNoUse, kStart, 1), kMinute);
}

}  // namespace
}  // namespace product_optimizer
