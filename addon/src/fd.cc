#include "fd.h"

#include <fcntl.h>
#include <unistd.h>

void Fd::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

Fd Fd::Duplicate() const { return DuplicateOf(fd_); }

Fd Fd::DuplicateOf(int fd) { return Fd(fcntl(fd, F_DUPFD_CLOEXEC, 0)); }
