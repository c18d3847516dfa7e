/*
 * epoll_set_test.cpp
 *   The set of sockets when descriptors are closed and reused without a word.
 */
#include "http/epoll_set.h"

#include <gtest/gtest.h>

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

namespace product_optimizer {
namespace {

struct Pair {
  Pair() { EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); }
  ~Pair() {
    for (const int fd : ends) close(fd);
  }
  void Say() { EXPECT_EQ(send(ends[1], "x", 1, 0), 1); }
  int ends[2] = {-1, -1};
};

TEST(EpollSet, TellsWhatIsWanted) {
  EpollSet set;
  Pair pair;
  set.Want(pair.ends[0], true, false);
  EXPECT_TRUE(set.Collect().empty());
  pair.Say();
  ASSERT_EQ(set.Collect().size(), 1U);
  EXPECT_TRUE(set.Collect()[0].readable);
  EXPECT_FALSE(set.Collect()[0].writable);
  set.Want(pair.ends[0], true, true);
  EXPECT_TRUE(set.Collect()[0].writable);
  set.Want(pair.ends[0], false, false);
  EXPECT_TRUE(set.Collect().empty());
}

TEST(EpollSet, CountsOpenAndBusy) {
  EpollSet set;
  Pair pair;
  set.Opened(pair.ends[0]);
  EXPECT_EQ(set.open(), 1U);
  EXPECT_EQ(set.busy(), 0U);
  set.Want(pair.ends[0], true, false);
  set.Want(pair.ends[0], true, true);
  EXPECT_EQ(set.busy(), 1U);
  set.Want(pair.ends[0], false, false);
  EXPECT_EQ(set.busy(), 0U);
  set.Want(pair.ends[0], false, true);
  set.Closed(pair.ends[0]);
  EXPECT_EQ(set.open(), 0U);
  EXPECT_EQ(set.busy(), 0U);
}

TEST(EpollSet, IdleSocketIsDroppedOnlyWhenItSpeaks) {
  EpollSet set;
  Pair pair;
  set.Opened(pair.ends[0]);
  set.Want(pair.ends[0], true, false);
  set.Want(pair.ends[0], false, false);
  pair.Say();
  EXPECT_TRUE(set.Collect().empty());
  set.Want(pair.ends[0], true, false); /* comes back although it was dropped */
  EXPECT_EQ(set.Collect().size(), 1U);
}

TEST(EpollSet, SurvivesReuseWithoutNotice) {
  EpollSet set;
  for (const bool told : {false, true}) {
    int number = -1;
    {
      Pair old;
      number = old.ends[0];
      if (told) set.Opened(number);
      set.Want(number, true, false);
      set.Want(number, false, false);
      set.Want(number, true, false);
    } /* closed behind the set's back, still wanted */
    Pair fresh;
    ASSERT_EQ(fresh.ends[0], number);
    if (told) set.Opened(number);
    set.Want(number, true, false);
    fresh.Say();
    ASSERT_EQ(set.Collect().size(), 1U) << told;
    EXPECT_EQ(set.Collect()[0].fd, number);
    set.Want(number, false, false);
    set.Closed(number);
  }
  EXPECT_EQ(set.open(), 0U);
}

/* libcurl 7.88 between two addresses of a host: close, open, and not a word about either. */
TEST(EpollSet, GoesOnWatchingANumberOpenedAgain) {
  EpollSet set;
  int number = -1;
  {
    Pair old;
    number = old.ends[0];
    set.Opened(number);
    set.Want(number, true, false);
  }
  Pair fresh;
  ASSERT_EQ(fresh.ends[0], number);
  set.Opened(number);
  fresh.Say();
  EXPECT_EQ(set.Collect().size(), 1U);
  EXPECT_EQ(set.open(), 1U);
  EXPECT_EQ(set.busy(), 1U);
}

TEST(EpollSet, NoticesASocketClosedWithoutAWord) {
  EpollSet set;
  int number = -1;
  {
    Pair old;
    number = old.ends[0];
    set.Opened(number);
    set.Want(number, true, false);
  }
  Pair other; /* has the number now, and is none of ours */
  ASSERT_EQ(other.ends[0], number);
  set.Want(number, false, false);
  EXPECT_EQ(set.open(), 0U);
  set.Want(number, true, false);
  other.Say();
  EXPECT_EQ(set.Collect().size(), 1U);
}

TEST(EpollSet, ToleratesClosedAndImpossibleDescriptors) {
  EpollSet set;
  Pair pair;
  const int dead = dup(pair.ends[0]);
  set.Want(dead, true, false);
  close(dead);
  set.Want(dead, false, false);
  set.Want(dead, true, true);
  set.Want(-1, true, true);
  set.Closed(-1);
  set.Closed(dead);
  pair.Say();
  for (const EpollSet::Ready& one : set.Collect()) EXPECT_NE(one.fd, pair.ends[0]);
}

TEST(EpollSet, HangUpWakesWhoeverWaits) {
  EpollSet set;
  Pair pair;
  set.Want(pair.ends[0], true, false);
  shutdown(pair.ends[1], SHUT_RDWR);
  ASSERT_EQ(set.Collect().size(), 1U);
  EXPECT_TRUE(set.Collect()[0].readable);
}

TEST(EpollSet, IsNotInherited) {
  EpollSet set;
  EXPECT_NE(fcntl(set.descriptor(), F_GETFD) & FD_CLOEXEC, 0);
}

}  // namespace
}  // namespace product_optimizer
