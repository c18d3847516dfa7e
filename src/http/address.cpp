/*
 * address.cpp
 *   Prefixes, and the IPv4 addresses that hide in IPv6 ones.
 */
#include "http/address.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <strings.h>

#include <cstdint>
#include <cstring>

namespace product_optimizer {
namespace {

struct Prefix4 {
  std::uint32_t address;
  int bits;
};

constexpr std::uint32_t Four(std::uint32_t a, std::uint32_t b, std::uint32_t c, std::uint32_t d) {
  return a << 24 | b << 16 | c << 8 | d;
}

constexpr Prefix4 kForbidden4[] = {
    {Four(0, 0, 0, 0), 8},          /* this host; Linux connects 0.0.0.0 to itself */
    {Four(169, 254, 0, 0), 16},     /* link-local: the metadata of AWS, Azure, Google and most others */
    {Four(100, 100, 100, 200), 32}, /* metadata of Alibaba */
    {Four(192, 0, 0, 192), 32},     /* metadata of Oracle */
    {Four(168, 63, 129, 16), 32},   /* Azure's own channel to its machines */
    {Four(224, 0, 0, 0), 4},        /* multicast */
    {Four(255, 255, 255, 255), 32}, /* broadcast */
};

struct Prefix6 {
  std::uint8_t address[16];
  int bits;
};

constexpr Prefix6 kForbidden6[] = {
    {{0xfe, 0x80}, 10},             /* link-local */
    {{0xff}, 8},                    /* multicast */
    {{0xfd, 0x00, 0x0e, 0xc2}, 32}, /* metadata of AWS, and its kin */
    {{0xfd, 0x20, 0x00, 0xce, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x02, 0x54}, 128},       /* metadata of Google */
    {{0xfd, 0x00, 0x00, 0xc1, 0, 0, 0, 0, 0, 0, 0, 0, 0xa9, 0xfe, 0xa9, 0xfe}, 128}, /* of Oracle */
    {{0xfd, 0x00, 0x00, 0x42, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0x42}, 128},          /* of Scaleway */
    {{0xfd, 0x00, 0x01, 0x00, 0, 0, 0, 0, 0, 0, 0, 0, 0x01, 0x00, 0x02, 0x00}, 128}, /* of Alibaba */
    {{0x00, 0x64, 0xff, 0x9b, 0x00, 0x01},
     48}, /* NAT64 of the own network: where in it the IPv4 address is, only the network knows */
};

/* An IPv4 address at that byte behind these prefixes. */
struct Embedding {
  Prefix6 prefix;
  int at;
};

constexpr Embedding kEmbeddings[] = {
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}, 12}, /* mapped, ::ffff:a.b.c.d */
    {{{0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff}, 96}, 12},       /* translated, ::ffff:0:a.b.c.d */
    {{{}, 96}, 12},                                         /* compatible, ::a.b.c.d; :: itself is 0.0.0.0 */
    {{{0x00, 0x64, 0xff, 0x9b}, 96}, 12},                   /* NAT64 */
    {{{0x20, 0x02}, 16}, 2},                                /* 6to4 */
};

bool Begins(const std::uint8_t* address, const Prefix6& prefix) {
  const int whole = prefix.bits / 8, rest = prefix.bits % 8;
  if (std::memcmp(address, prefix.address, static_cast<std::size_t>(whole)) != 0) return false;
  return rest == 0 || ((address[whole] ^ prefix.address[whole]) >> (8 - rest)) == 0;
}

AddressKind ClassifyFour(std::uint32_t address) {
  if (address >> 24 == 127) return AddressKind::kLoopback;
  for (const Prefix4& prefix : kForbidden4)
    if ((address ^ prefix.address) >> (32 - prefix.bits) == 0) return AddressKind::kForbidden;
  return AddressKind::kOrdinary;
}

AddressKind ClassifySix(const std::uint8_t* address) {
  constexpr Prefix6 kSelf = {{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1}, 128};
  if (Begins(address, kSelf)) return AddressKind::kLoopback;
  for (const Prefix6& prefix : kForbidden6)
    if (Begins(address, prefix)) return AddressKind::kForbidden;
  for (const Embedding& embedding : kEmbeddings) {
    const std::uint8_t* four = address + embedding.at;
    if (Begins(address, embedding.prefix)) return ClassifyFour(Four(four[0], four[1], four[2], four[3]));
  }
  return AddressKind::kOrdinary;
}

}  // namespace

AddressKind ClassifyAddress(const sockaddr* address, std::size_t size) {
  if (address->sa_family == AF_INET && size >= sizeof(sockaddr_in)) {
    sockaddr_in four;
    std::memcpy(&four, address, sizeof four);
    return ClassifyFour(ntohl(four.sin_addr.s_addr));
  }
  if (address->sa_family == AF_INET6 && size >= sizeof(sockaddr_in6)) {
    sockaddr_in6 six;
    std::memcpy(&six, address, sizeof six);
    return ClassifySix(six.sin6_addr.s6_addr);
  }
  return AddressKind::kForbidden;
}

HostKind ClassifyHost(const std::string& host) {
  if (strcasecmp(host.c_str(), "localhost") == 0) return HostKind::kLoopback;
  in_addr four{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1)
    return ntohl(four.s_addr) >> 24 == 127 ? HostKind::kLoopback : HostKind::kLiteral;
  if (host.size() < 2 || host.front() != '[' || host.back() != ']') return HostKind::kName;
  in6_addr six{};
  if (inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &six) != 1) return HostKind::kName;
  return IN6_IS_ADDR_LOOPBACK(&six) ? HostKind::kLoopback : HostKind::kLiteral;
}

bool MayConnect(HostKind host, AddressKind address) {
  switch (host) {
    case HostKind::kLiteral:
      return true;
    case HostKind::kLoopback:
      return address == AddressKind::kLoopback;
    case HostKind::kName:
      break;
  }
  return address == AddressKind::kOrdinary;
}

}  // namespace product_optimizer
