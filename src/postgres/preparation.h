/*
 * preparation.h
 *   What becomes of the candidates of one claim: their requests are built and their permits taken inside
 *   T1, and they are sent, or their permits given back, behind it.
 */
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "openai/request.h"
#include "postgres/claim.h"
#include "postgres/worker_state.h"

namespace product_optimizer {

/* The bucket of a model under the limits that hold for it. */
BucketRef BucketOfModel(const Worker& worker, const std::string& model);

/* What stands in the way, in words. */
const char* GateName(Gate gate);

class Preparation {
 public:
  explicit Preparation(Worker& worker);

  /* Inside T1: builds the request, takes its permits, and says whether it can leave now. */
  Choice Choose(Candidate& candidate);

  /* T1 was committed: sends what was claimed and gives back the rest. */
  void Send(std::vector<Item>& items, std::uint64_t now_ns);

  /* T1 was committed. */
  void NoteModelsInUse();

  /* T1 is over, or failed: nobody waits any longer for what this database had no use for. */
  void StepAside();

  /* T1 failed: gives everything back. */
  void GiveBack();

  /* Until the first that its model refused can pass; kNever: none was refused. */
  std::uint64_t wait_ns() const { return wait_ns_; }
  const std::string& throttle() const { return throttle_; }

 private:
  struct Prepared {
    BuiltRequest request;
    BucketRef bucket;
    std::int64_t reserved_tokens = 0; /* 0: no permit was taken */
    std::int64_t estimated_prompt_tokens = 0;
    Outcome refusal; /* why no request can be made of it */
    bool refused = false;
  };

  BucketRef BucketOf(const Candidate& candidate) const;
  void Reserve(Prepared& prepared);
  Choice Refuse(const Candidate& candidate, Prepared prepared, OutcomeKind kind, std::string error,
                std::string code);
  double CostOf(const Prepared& prepared) const;
  Choice Postpone(Candidate& candidate, const Prepared& prepared, const PairVerdict& verdict);
  Choice StayBehind(Candidate& candidate, std::uint64_t due_ns) const;
  HttpRequest RequestOf(Prepared& prepared) const;

  Worker& worker_;
  std::map<std::string, int> refused_;        /* by store: outcomes that their rows do not take */
  std::map<std::int64_t, Prepared> prepared_; /* by item id */
  std::set<std::string> models_;              /* that candidates named */
  std::set<std::string> answered_models_;     /* whose bucket granted something, or said when to come again */
  /* The limiter said no to one of them, until then: nothing smaller may overtake it. */
  std::map<std::string, std::uint64_t> closed_models_;
  std::uint64_t wait_ns_ = kNever;
  std::string throttle_;
};

}  // namespace product_optimizer
