#!/usr/bin/perl
# Locks (flock) each inherited descriptor from 3 on, for storage/locks/file-locks.ts. Arguments, one per descriptor: 1 (shared), 2 (exclusive),
# 8 (unlock) or 0 (only look for a mark). Prints one line per descriptor: held (also: no mark), marked (a server process has marked the file,
# see helpers/ranges.pl; that process may have outlived its listener), taken (another process has the lock) or unavailable. The locks stay
# with the parent process, which has the same open files.
use strict;
# What was found out before a file system stopped answering is not lost.
$| = 1;

# The mark is a shared lock of one byte far behind every volume. Struct flock on 64-bit Linux: type, whence, start, length, pid; types:
# 0 read, 1 write, 2 none; fcntl 36 (F_OFD_GETLK). The test comes first, because some file systems would find our own flock. A file system
# without such locks has no marks.
sub is_marked {
  my ($file) = @_;
  my $lock = pack('s s x4 q q l x4', 1, 0, 1 << 62, 1, 0);
  return defined(fcntl($file, 36, $lock)) && unpack('s', $lock) != 2;
}

# 4 (LOCK_NB): do not wait. Errno 11 (EAGAIN): another process holds the lock.
sub outcome {
  my ($fd, $mode) = @_;
  open(my $file, '<&=', $fd) or return 'unavailable';
  return 'marked' if $mode != 8 && is_marked($file);
  return 'held' if $mode == 0 || flock($file, $mode | 4);
  return $! == 11 ? 'taken' : 'unavailable';
}

my $fd = 3;
print outcome($fd++, $_), "\n" for @ARGV;
