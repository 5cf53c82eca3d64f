#!/usr/bin/perl
# Takes nodes of loop devices out of /dev (LOOP_CTL_REMOVE), which Node cannot ask for. Arguments: their numbers. Prints those that are gone.
# Invariant: the kernel takes away only what nothing stands behind and nobody has open.
use strict;
use warnings;

my $LOOP_CTL_REMOVE = 0x4C81;

open(my $control, '+<', '/dev/loop-control') or die "Cannot open /dev/loop-control: $!\n";
for my $number (@ARGV) {
  print "$number\n" if defined ioctl($control, $LOOP_CTL_REMOVE, $number + 0) || $!{ENODEV};
}
