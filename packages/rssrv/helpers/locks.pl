#!/usr/bin/perl
# Locks (flock) each inherited descriptor from 3 on, for volumes/file-locks.ts. Arguments, one per descriptor: 1 (shared), 2 (exclusive) or
# 8 (unlock). Prints one line per descriptor: held, taken (another process has it) or unavailable. The locks stay with the parent process,
# which has the same open files.
use strict;

# 4 (LOCK_NB): do not wait. Errno 11 (EAGAIN): another process holds the lock.
my $fd = 3;
for my $mode (@ARGV) {
  my $opened = open(my $file, '<&=', $fd++);
  print !$opened ? 'unavailable' : flock($file, $mode | 4) ? 'held' : $! == 11 ? 'taken' : 'unavailable', "\n";
}
