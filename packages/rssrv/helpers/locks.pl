#!/usr/bin/perl
# Takes an advisory lock (flock) on each descriptor that it was given, from 3 on (volumes/file-locks.ts). Arguments: 1 (shared), 2 (exclusive) or 8 (give it up) for
# each. Prints for each held, taken (somebody else has it) or unavailable. The locks stay with whoever else holds the descriptors.
use strict;

# 4: do not wait; errno 11 (EAGAIN): somebody else holds it.
my $fd = 3;
for my $mode (@ARGV) {
  my $opened = open(my $file, '<&=', $fd++);
  print !$opened ? 'unavailable' : flock($file, $mode | 4) ? 'held' : $! == 11 ? 'taken' : 'unavailable', "\n";
}
