/*
 * store_heap.h
 *   A leftist heap threaded through the slots of a StorePool: push, pop and removal from the middle in
 *   O(log n), without memory of its own, so that any number of them share one pool.
 */
#pragma once

#include <utility>

#include "core/store_pool.h"

namespace product_optimizer {

/* Comes(a, b): a comes before b. */
template <typename Comes>
class StoreHeap {
 public:
  StoreHeap(StorePool& pool, SlotIndex& root) : pool_(pool), root_(root) {}

  void Push(SlotIndex index) {
    Store& store = pool_[index];
    store.left = store.right = store.parent = kNoSlot;
    store.rank = 1;
    root_ = Merge(root_, index);
  }

  void Remove(SlotIndex index) {
    const Store& store = pool_[index];
    const SlotIndex above = store.parent;
    const SlotIndex heir = Merge(store.left, store.right);
    if (heir != kNoSlot) pool_[heir].parent = above;
    if (above == kNoSlot) {
      root_ = heir;
      return;
    }
    (pool_[above].left == index ? pool_[above].left : pool_[above].right) = heir;
    Lean(above);
  }

 private:
  std::uint8_t Rank(SlotIndex index) const { return index == kNoSlot ? 0 : pool_[index].rank; }

  /* Puts the lower rank to the right and corrects the rank; false when that changed nothing. */
  bool LeanOne(SlotIndex index) {
    Store& store = pool_[index];
    if (Rank(store.left) < Rank(store.right)) std::swap(store.left, store.right);
    const auto rank = static_cast<std::uint8_t>(Rank(store.right) + 1);
    const bool changed = rank != store.rank;
    store.rank = rank;
    return changed;
  }

  void Lean(SlotIndex index) {
    while (index != kNoSlot && LeanOne(index)) index = pool_[index].parent;
  }

  /* Both are roots.  Right spines are at most log2(n) long. */
  SlotIndex Merge(SlotIndex a, SlotIndex b) {
    if (a == kNoSlot) return b;
    if (b == kNoSlot) return a;
    if (Comes{}(pool_[b], pool_[a])) std::swap(a, b);
    const SlotIndex right = Merge(pool_[a].right, b);
    pool_[a].right = right;
    pool_[right].parent = a;
    pool_[a].parent = kNoSlot;
    LeanOne(a);
    return a;
  }

  StorePool& pool_;
  SlotIndex& root_;
};

}  // namespace product_optimizer
