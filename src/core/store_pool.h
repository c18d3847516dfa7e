/*
 * store_pool.h
 *   Fixed memory for what is known of waiting stores: slots found by queue and name.  Plain memory without
 *   pointers (it lies in shared memory, under the caller's lock); nothing here allocates or throws, except
 *   Name().  A slot that was never used is never touched, so that memory is paid as stores wait.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "core/line_place.h"
#include "core/store_line.h"

namespace product_optimizer {

using SlotIndex = std::uint32_t;
constexpr SlotIndex kNoSlot = UINT32_MAX;

enum class StoreState : std::uint8_t {
  kReady,  /* in line */
  kIdle,   /* nothing of it is known to wait; it is remembered for what it was served too early */
  kParked, /* rows of it wait, but may not be claimed before a time or an event */
};

/* What the owner of the queue wants of a store. */
struct StorePolicy {
  float weight = 1;
  std::int32_t max_in_flight = -1;      /* -1: no limit of its own */
  std::int32_t requests_per_minute = 0; /* 0: no limit of its own */
  std::int32_t tokens_per_minute = 0;   /* 0: no limit of its own */
  bool paused = false;

  bool operator==(const StorePolicy& other) const {
    return weight == other.weight && max_in_flight == other.max_in_flight &&
           requests_per_minute == other.requests_per_minute && tokens_per_minute == other.tokens_per_minute &&
           paused == other.paused;
  }
};

/* What is known of one store.  What a StoreHeap reads lies in its first 64 bytes: one line of the cache. */
struct Store {
  LinePlace place; /* of its next item */
  union {
    std::uint64_t parked_until_ns; /* while it is parked … */
    std::uint64_t unparked_epoch;  /* … and else when that was last called off; 0: never */
  };
  SlotIndex left, right, parent; /* in a StoreHeap */
  SlotIndex next;                /* with the same hash bucket */
  std::uint64_t hash;
  SlotIndex more_name;
  std::uint16_t name_length;
  std::uint8_t queue;
  std::uint8_t rank; /* in a StoreHeap */
  StoreState state;
  float cost; /* what its items cost, a moving average */

  StoreLine line;
  ItemKey posted[2];             /* the lowest key that was posted in each of the last two epochs … */
  std::uint64_t posted_epoch[2]; /* … which these are; 0: none */
  std::uint32_t known;           /* rows that wait at least; kUnknownRows: nobody counted */
  StorePolicy policy;
  std::uint32_t policy_version; /* of the queue when the policy was read; 0: never */
  char name[52];
};

class StorePool {
 public:
  /* The memory that a pool of so many slots takes, this object included. */
  static std::size_t BytesFor(std::uint32_t capacity);

  /*
   * To be called on zeroed memory of BytesFor(capacity) bytes.  Each of so many queues is guaranteed room.
   * The seed has to be random and secret where others choose the names: whoever does not know it cannot make
   * many names share a bucket.
   */
  void Start(std::uint32_t capacity, std::uint32_t queues = 1, std::uint64_t seed = 0);

  /* What a name of so many bytes takes. */
  static std::uint32_t SlotsFor(std::size_t name_length);

  SlotIndex Find(std::uint8_t queue, std::string_view name) const;

  /* A fresh slot with nothing but its queue and name; kNoSlot when there is no room. */
  SlotIndex Add(std::uint8_t queue, std::string_view name);

  void Remove(SlotIndex index);

  Store& operator[](SlotIndex index) { return slots()[index].store; }
  const Store& operator[](SlotIndex index) const { return slots()[index].store; }

  std::string Name(SlotIndex index) const;

  /* Slots in use, those that hold the rest of a long name included. */
  std::uint32_t used() const { return used_; }
  std::uint32_t free() const { return capacity_ - used_; }

  /* Stores that a queue may have whatever the others have … */
  std::uint32_t guaranteed() const { return guaranteed_; }
  /* … and the free slots that a queue with more than those leaves to the others. */
  std::uint32_t reserve() const { return reserve_; }

 private:
  struct NameRest {
    SlotIndex more_name;
    char bytes[252];
  };
  union Slot {
    Store store;
    NameRest rest;
    SlotIndex next_free;
  };
  static_assert(sizeof(Slot) == 256, "a multiple of a line of the cache");

  SlotIndex Take();
  void Free(SlotIndex index);
  bool HasName(const Store& store, std::string_view name) const;

  SlotIndex* buckets() { return reinterpret_cast<SlotIndex*>(this + 1); }
  const SlotIndex* buckets() const { return reinterpret_cast<const SlotIndex*>(this + 1); }
  Slot* slots() { return reinterpret_cast<Slot*>(buckets() + bucket_count_); }
  const Slot* slots() const { return reinterpret_cast<const Slot*>(buckets() + bucket_count_); }
  SlotIndex& BucketOf(std::uint64_t hash) { return buckets()[hash & (bucket_count_ - 1)]; }

  std::uint64_t HashOf(std::uint8_t queue, std::string_view name) const;

  std::uint64_t keys_[3]; /* of the hash */
  std::uint32_t capacity_;
  std::uint32_t bucket_count_; /* a power of two, at least 2, so that slots are aligned */
  std::uint32_t ever_used_;    /* slots from here on were never touched */
  std::uint32_t used_;
  SlotIndex first_free_;
  std::uint32_t guaranteed_;
  std::uint32_t reserve_;
  [[maybe_unused]] std::uint32_t unused_[3]; /* up to the next line of the cache */
};

}  // namespace product_optimizer
