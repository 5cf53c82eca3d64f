#!/usr/bin/perl
# Starts a process of rsiod with descriptors that the keeper holds, because Node cannot copy a descriptor from another process. Arguments: the
# number of prctl, the pid of the parent, the pid of the keeper, the numbers that the descriptors have there (separated by commas), and the
# command. keeper/inherit-command.ts makes the arguments. Invariants: the process never outlives its parent (parent-death signal); the command gets the descriptors on the numbers from 4 on, in the order of the arguments and without gaps, and no
# other descriptor of this program; the numbers 0 to 3 and the environment stay (3 is the IPC channel of Node).

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

# Without this, a stopped process would outlive its parent, and later take requests of devices that another process serves by then.
syscall($prctl + 0, 1, 9, 0, 0, 0);
POSIX::_exit(126) if getppid() != $parent;
my @places = split ',', $places;
my $process = check(syscall($pidfd_open, $keeper + 0, 0), 'open');
my @copies;
for my $place (@places) {
  my $copy;
  # A number that the command gets later must be free then. A copy with such a number stays, so that the kernel chooses another one.
  do { $copy = check(syscall($pidfd_getfd, $process, $place + 0, 0), "get descriptor $place of"); } while $copy < $first + @places;
  push @copies, $copy;
}
# Copies and the descriptor of the process are closed by exec; numbers of dup2 are not.
for my $at (0 .. $#copies) { check(POSIX::dup2($copies[$at], $first + $at), "arrange the descriptors of"); }
exec { $command[0] } @command or check(undef, "start $command[0] under");
