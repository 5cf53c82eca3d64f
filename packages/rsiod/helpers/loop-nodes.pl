#!/usr/bin/perl
# Removes nodes of loop devices from /dev (LOOP_CTL_REMOVE), because Node has no ioctl. Arguments: the numbers of the nodes. Prints the
# numbers of the nodes that no longer exist. Invariant: the kernel removes only nodes without a backing file that no process has open.
use strict;
use warnings;

my $LOOP_CTL_REMOVE = 0x4C81;

open(my $control, '+<', '/dev/loop-control') or die "Cannot open /dev/loop-control: $!\n";
for my $number (@ARGV) {
  print "$number\n" if defined ioctl($control, $LOOP_CTL_REMOVE, $number + 0) || $!{ENODEV};
}
