#include "core/serving.h"

#include <algorithm>
#include <limits>
#include <string_view>
#include <unordered_map>

namespace product_optimizer {

namespace {

/* Those that begin; a store's further parts come one after another behind its first. */
std::vector<Service*> Line(std::deque<Service>& services) {
  std::vector<Service*> line;
  std::unordered_map<std::string_view, Service*> last;
  for (Service& service : services) {
    Service*& before = last[service.turn.name];
    if (before != nullptr) {
      before->after = &service;
    } else if (!service.rows.empty()) {
      line.push_back(&service);
    }
    before = &service;
  }
  return line;
}

bool HasRows(const Service* service) {
  return service != nullptr && !service->rows.empty();
}

}  // namespace

std::int64_t Serve(std::deque<Service>& services, bool strict, const Chooser& chooser,
                   std::vector<Candidate*>& chosen) {
  std::int64_t left = 0;
  std::uint64_t order = 0;
  for (const Service& service : services) order = std::max(order, service.place.order);
  std::vector<Service*> line = Line(services);
  const auto comes_later = [](const Service* a, const Service* b) { return b->place < a->place; };
  std::make_heap(line.begin(), line.end(), comes_later);
  /* A store whose locked rows are used up may have more: nobody overtakes it. */
  LinePlace barrier{std::numeric_limits<double>::infinity(), 0};
  while (!line.empty()) {
    std::pop_heap(line.begin(), line.end(), comes_later);
    Service& service = *line.back();
    if (strict && barrier < service.place) break;
    Candidate& row = *service.rows[service.next++];
    row.place = service.place;
    const Choice choice = chooser ? chooser(row) : Choice::kTake;
    if (choice == Choice::kSkip) {
      for (Service* part = &service; part != nullptr; part = part->after)
        part->report.park_until_ns = row.park_until_ns;
      line.pop_back();
      continue;
    }
    if (choice == Choice::kLeave) {
      left++;
    } else {
      chosen.push_back(&row);
      service.report.last_start = service.place.turn;
      service.place = {service.place.turn + row.cost / service.turn.policy.weight, ++order};
    }
    if (service.next < service.rows.size()) {
      std::push_heap(line.begin(), line.end(), comes_later);
    } else if (HasRows(service.after)) {
      service.after->place = service.place;
      line.back() = service.after;
      std::push_heap(line.begin(), line.end(), comes_later);
    } else {
      if (choice == Choice::kTake && service.after == nullptr && service.may_have_more)
        barrier = std::min(barrier, service.place);
      line.pop_back();
    }
  }
  return left;
}

}  // namespace product_optimizer
