/*
 * signal_block.h
 *   Blocks every signal of the calling thread for a scope.  A thread that libcurl starts inside the
 *   scope (its name resolver) inherits the mask, so a signal meant for the process, and with it a
 *   handler of the host program, can never run on that thread.
 *
 *   Ownership: belongs to the thread that made it; scopes may nest.
 */
#pragma once

#include <csignal>

namespace product_optimizer {

class SignalBlock {
 public:
  SignalBlock() noexcept {
    sigset_t all;
    sigfillset(&all);
    blocked_ = pthread_sigmask(SIG_SETMASK, &all, &before_) == 0;
  }
  ~SignalBlock() {
    if (blocked_) pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }
  SignalBlock(const SignalBlock&) = delete;
  SignalBlock& operator=(const SignalBlock&) = delete;

 private:
  sigset_t before_;
  bool blocked_; /* nothing to restore when the kernel refused */
};

}  // namespace product_optimizer
