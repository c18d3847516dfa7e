/*
 * address.h
 *   Which addresses a host name may lead to.  Whoever answers for a name, a name server or one who poses as
 *   it, must not be able to send the key and the products to this machine's own services or to the
 *   metadata service of its cloud.  Pure; libcurl's open-socket hook asks for the address that is really
 *   connected to, so there is no gap between this judgement and the connection (DNS rebinding).
 */
#pragma once

#include <sys/socket.h>

#include <cstddef>
#include <string>

namespace product_optimizer {

enum class AddressKind {
  kOrdinary, /* private networks too: gateways live there */
  kLoopback, /* 127.0.0.0/8, ::1, also inside an IPv6 address */
  kForbidden /* link-local, metadata service, unspecified, multicast, broadcast, or not an IP address */
};

/* size is that of the whole address; a shorter one than its family needs is kForbidden. */
AddressKind ClassifyAddress(const sockaddr* address, std::size_t size);

/* How a URL names its host. */
enum class HostKind {
  kName,
  kLoopback, /* localhost, 127.0.0.0/8 or [::1] */
  kLiteral   /* any other IP address */
};

/* A host as libcurl's parser returns it: lower or upper case, IPv6 in brackets.  Resolves nothing. */
HostKind ClassifyHost(const std::string& host);

/*
 * Whether a host of that kind may be connected to at that address.  A literal is what the superuser wrote
 * and nobody can redirect it: it may be any address.  A name may not lead to forbidden addresses, nor to
 * this machine: over https a certificate would stop that, but with allow_plain_http nothing would, and a
 * gateway on this machine can be called localhost.  And localhost may lead nowhere else, because plain
 * http is allowed to it.
 */
bool MayConnect(HostKind host, AddressKind address);

}  // namespace product_optimizer
