/*
 * process.h
 *   What the mock asks of the operating system besides sockets.
 */
#pragma once

#include <cstdint>
#include <string>

namespace mock_openai {

/* The start time of a process, which tells it from a later one with the same id; empty when it is gone or a
 * zombie. */
std::string ProcessIdentity(std::int64_t pid);

/* Soft limit of open files := hard limit. */
void RaiseDescriptorLimit();

/* A reader sees the whole number or no file.  False when it cannot be written. */
bool WritePortFile(const std::string& path, int port);

}  // namespace mock_openai
