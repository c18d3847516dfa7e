/*
 * bucket_table.h
 *   The shared memory in which shared_limiter.h finds its buckets by name.  All of it under that one's lock;
 *   nothing here raises.
 *
 *   A place for a bucket is taken by a database, of those that are free: one while it has fewer than are
 *   free, or half as many for a model that nothing configured names.  So nobody's names, however many, keep
 *   the others from places of their own.  What finds no place shares one bucket: all such models of the
 *   cluster, all such stores of a database, which for each is only stricter than one of its own.
 */
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "core/limiter.h"
#include "postgres/prelude.h"
#include "postgres/settings.h"

namespace product_optimizer {

constexpr long kMostPlaces = 1024;
/* Besides: one bucket for all models without a place, and one per database for its stores without one. */
constexpr long kMostShared = 1 + kMostDatabases;

/* So much of a name is kept, its NUL included. */
constexpr std::size_t kBucketNameBytes = 208;

Size BucketTableSize();
void StartBucketTable();

/*
 * Its own bucket, or the shared one.  database: InvalidOid for a model, whose name is UTF-8.  keep: a bucket
 * that is not forgotten to make place, or null.  While something reserved in the shared one has not left, it
 * may be of this name, whose own bucket would not know of it: nobody moves until then.  What moves starts
 * empty, so the bound holds across it.  Null only when memory is short: the caller then grants nothing.
 */
Bucket* FindOrStart(Oid database, const std::string& name, const Limits& limits, bool configured,
                    std::uint64_t now, const Bucket* keep);

/* Null when there is none. */
Bucket* FindOwn(Oid database, const std::string& name);
Bucket* FindOwnOrShared(Oid database, const std::string& name);

/* Every model's; the shared one's name is empty. */
void VisitModels(void (*visit)(const char* name, const Bucket& bucket, void* context), void* context);

}  // namespace product_optimizer
