#include "postgres/serving.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>

namespace product_optimizer {

namespace {

/* It gave all that was asked of it, and nothing but the queue asked for less. */
bool MayHaveMore(const Part& part) {
  return part.most == part.turn.items && static_cast<std::int64_t>(part.rows.size()) == part.most;
}

/* Those that begin; a store's further parts come one after another behind its first. */
std::vector<Service*> Line(std::deque<Service>& services) {
  std::vector<Service*> line;
  std::unordered_map<std::string_view, Service*> last;
  for (Service& service : services) {
    Service*& before = last[service.part->turn.name];
    if (before != nullptr) {
      before->after = &service;
    } else if (!service.part->rows.empty()) {
      line.push_back(&service);
    }
    before = &service;
  }
  return line;
}

bool HasRows(const Service* service) {
  return service != nullptr && !service->part->rows.empty();
}

}  // namespace

std::int64_t Serve(std::deque<Service>& services, bool strict, const Chooser& chooser,
                   std::vector<LockedRow*>& chosen) {
  std::int64_t left = 0;
  std::uint64_t order = 0;
  for (const Service& service : services) order = std::max(order, service.place.order);
  std::vector<Service*> line = Line(services);
  const auto comes_later = [](const Service* a, const Service* b) { return b->place < a->place; };
  std::make_heap(line.begin(), line.end(), comes_later);
  /* A store whose locked rows are used up may have more: nobody overtakes it. */
  double barrier = std::numeric_limits<double>::infinity();
  while (!line.empty()) {
    std::pop_heap(line.begin(), line.end(), comes_later);
    Service& service = *line.back();
    if (strict && service.place.turn > barrier) break;
    LockedRow& row = service.part->rows[service.next++];
    row.candidate.place = service.place;
    const Choice choice = chooser ? chooser(row.candidate) : Choice::kTake;
    if (choice == Choice::kSkip) {
      for (Service* part = &service; part != nullptr; part = part->after)
        part->report.park_until_ns = row.candidate.park_until_ns;
      line.pop_back();
      continue;
    }
    if (choice == Choice::kLeave) {
      left++;
    } else {
      chosen.push_back(&row);
      service.report.last_start = service.place.turn;
      service.place = {service.place.turn + row.candidate.cost / service.part->turn.policy.weight, ++order};
    }
    if (service.next < service.part->rows.size()) {
      std::push_heap(line.begin(), line.end(), comes_later);
    } else if (HasRows(service.after)) {
      service.after->place = service.place;
      line.back() = service.after;
      std::push_heap(line.begin(), line.end(), comes_later);
    } else {
      if (choice == Choice::kTake && service.after == nullptr && MayHaveMore(*service.part))
        barrier = std::min(barrier, service.place.turn);
      line.pop_back();
    }
  }
  return left;
}

}  // namespace product_optimizer
