#!/usr/bin/perl
# Starts a process of rsiod with descriptors that the keeper holds, because Node cannot copy a descriptor from another process. Arguments:
# the number of prctl, the pids of the parent and of the keeper, the keeper's numbers of the descriptors (separated by commas), and the
# command. keeper/inherit-command.ts makes the arguments. Invariants: the process never outlives its parent (parent-death signal); the
# command gets the descriptors as numbers 4 and following, in the order of the arguments, and no other descriptor of this program; the
# numbers 0 to 3 and the environment stay (3 is the IPC channel of Node).

use strict;
use POSIX ();
my ($prctl, $parent, $keeper, $places, @command) = @ARGV;
my ($pidfd_open, $pidfd_getfd) = (434, 438);
my $first = 4;

sub check {
  my ($number, $what) = @_;
  return $number if defined $number && $number >= 0;
  print STDERR "Cannot $what the keeper (pid $keeper): $!\n";
  POSIX::_exit(126);
}

# Without this signal, a stopped process would outlive its parent, and could take requests of devices that another process now serves.
syscall($prctl + 0, 1, 9, 0, 0, 0);
POSIX::_exit(126) if getppid() != $parent;
my @places = split ',', $places;
my $process = check(syscall($pidfd_open, $keeper + 0, 0), 'open');
my @copies;
for my $place (@places) {
  my $copy;
  # The numbers that the command gets must be free. A copy with such a number stays open, so that the kernel chooses another number.
  do { $copy = check(syscall($pidfd_getfd, $process, $place + 0, 0), "get descriptor $place of"); } while $copy < $first + @places;
  push @copies, $copy;
}
# exec closes the copies and the descriptor of the keeper's process, but not the descriptors that dup2 makes.
for my $at (0 .. $#copies) { check(POSIX::dup2($copies[$at], $first + $at), "arrange the descriptors of"); }
exec { $command[0] } @command or check(undef, "start $command[0] under");
