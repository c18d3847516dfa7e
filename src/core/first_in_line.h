/*
 * first_in_line.h
 *   What the limit on tokens of each model refused first, while several models are in use: until it has
 *   passed, no item of the model does whose place is behind it, so that nothing small overtakes it for ever.
 */
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "core/line_place.h"

namespace product_optimizer {

class FirstInLine {
 public:
  /* The limit lets this item pass at due_ns, not before. */
  void Refused(const std::string& model, std::int64_t item, const std::string& store, const LinePlace& place,
               std::uint64_t due_ns);

  void Passed(const std::string& model, std::int64_t item);

  /* When an item at that place in a store's line may be asked again, as it comes behind; 0: it does not. */
  std::uint64_t BehindUntilNs(const std::string& model, const std::string& store, const LinePlace& place,
                              std::uint64_t now_ns);

  /* When the model's first can pass; 0: nobody waits. */
  std::uint64_t DueNs(const std::string& model) const;

 private:
  struct First {
    std::int64_t item;
    std::string store;
    LinePlace place;
    std::uint64_t due_ns;
    std::uint64_t expires_ns; /* it may have been cancelled, or claimed by somebody else */
  };
  std::map<std::string, First> firsts_;
};

}  // namespace product_optimizer
