#!/usr/bin/perl
# Locks (flock) each inherited descriptor from 3 on, for volumes/file-locks.ts. Arguments, one per descriptor: 1 (shared), 2 (exclusive) or
# 8 (unlock). Prints one line per descriptor: held, taken (another process has it) or unavailable. The locks stay with the parent process,
# which has the same open files.
# A file counts as taken, too, while a server process has marked it (helpers/ranges.pl): that process may have outlived its listener.
use strict;

# The mark is a shared lock of one byte far behind every volume. Struct flock on 64-bit Linux: type, whence, start, length, pid; types:
# 0 read, 1 write, 2 none; fcntl 36 (F_OFD_GETLK). The test comes first, because some file systems would find our own flock.
sub is_marked {
  my ($file) = @_;
  my $lock = pack('s s x4 q q l x4', 1, 0, 1 << 62, 1, 0);
  return defined(fcntl($file, 36, $lock)) && unpack('s', $lock) != 2;
}

# 4 (LOCK_NB): do not wait. Errno 11 (EAGAIN): another process holds the lock.
my $fd = 3;
for my $mode (@ARGV) {
  my $opened = open(my $file, '<&=', $fd++);
  my $marked = $opened && $mode != 8 && is_marked($file);
  print !$opened ? 'unavailable' : $marked ? 'taken' : flock($file, $mode | 4) ? 'held' : $! == 11 ? 'taken' : 'unavailable', "\n";
}
