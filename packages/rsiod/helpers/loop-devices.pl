#!/usr/bin/perl
# Orders to a loop device that need ioctl or an exclusive open, which Node and losetup lack. Arguments: an order and a device.
#   claims  prints `claimed` if the kernel has given the device to an exclusive user (a file system, swap, a stacked device)
#   detach  detaches the device unless it is claimed, in which case it prints `claimed`
#   keep    takes back a detach that waits for the last close of the device (LO_FLAGS_AUTOCLEAR), and prints `kept`
# Invariant: a claimed device is left as it is.
use strict;
use warnings;
use Fcntl qw(O_RDONLY O_EXCL O_NONBLOCK);

my ($LOOP_CLR_FD, $LOOP_SET_STATUS64, $LOOP_GET_STATUS64) = (0x4C01, 0x4C04, 0x4C05);
# struct loop_info64: its size, and the place of lo_flags.
my ($INFO_BYTES, $FLAGS_AT, $LO_FLAGS_AUTOCLEAR) = (232, 52, 4);

my ($order, $device) = @ARGV;
my $mode = O_RDONLY | O_NONBLOCK | ($order eq 'keep' ? 0 : O_EXCL);
my $loop;
if (!sysopen($loop, $device, $mode)) {
  print "claimed\n" if $!{EBUSY};
  exit 0 if $!{EBUSY} || $!{ENXIO} || $!{ENOENT};
  die "Cannot open $device: $!\n";
}
if ($order eq 'detach') {
  ioctl($loop, $LOOP_CLR_FD, 0) || $!{ENXIO} or die "Cannot detach $device: $!\n";
} elsif ($order eq 'keep') {
  my $info = "\0" x $INFO_BYTES;
  ioctl($loop, $LOOP_GET_STATUS64, $info) or die "Cannot ask $device: $!\n";
  my $flags = unpack('L', substr($info, $FLAGS_AT, 4)) & ~$LO_FLAGS_AUTOCLEAR;
  substr($info, $FLAGS_AT, 4) = pack('L', $flags);
  ioctl($loop, $LOOP_SET_STATUS64, $info) or die "Cannot change $device: $!\n";
  print "kept\n";
}
