#!/usr/bin/perl
# Orders to loop devices that need ioctl or an exclusive open, which Node and losetup lack. Arguments: an order and devices.
#   claims  prints those of the devices that the kernel has given to an exclusive user (a file system, swap, a stacked device)
#   detach  detaches the device unless it is claimed, in which case it prints `claimed`
#   keep    takes back a detach that waits for the last close of the device (LO_FLAGS_AUTOCLEAR), and prints `kept`
# Invariant: a claimed device is left as it is.
use strict;
use warnings;
use Fcntl qw(O_RDONLY O_EXCL O_NONBLOCK);

my ($LOOP_CLR_FD, $LOOP_SET_STATUS64, $LOOP_GET_STATUS64) = (0x4C01, 0x4C04, 0x4C05);
# struct loop_info64: its size, and the place of lo_flags.
my ($INFO_BYTES, $FLAGS_AT, $LO_FLAGS_AUTOCLEAR) = (232, 52, 4);

my ($order, @devices) = @ARGV;

sub opened {
  my ($device, $mode) = @_;
  sysopen(my $loop, $device, O_RDONLY | O_NONBLOCK | $mode) or return undef;
  return $loop;
}

if ($order eq 'claims') {
  for my $device (@devices) {
    print "$device\n" if !opened($device, O_EXCL) && $!{EBUSY};
  }
} elsif ($order eq 'detach') {
  my ($device) = @devices;
  my $loop = opened($device, O_EXCL);
  if ($loop) {
    ioctl($loop, $LOOP_CLR_FD, 0) || $!{ENXIO} or die "Cannot detach $device: $!\n";
  } elsif ($!{EBUSY}) {
    print "claimed\n";
  } else {
    $!{ENXIO} || $!{ENOENT} or die "Cannot open $device: $!\n";
  }
} elsif ($order eq 'keep') {
  my ($device) = @devices;
  my $loop = opened($device, 0) or die "Cannot open $device: $!\n";
  my $info = "\0" x $INFO_BYTES;
  ioctl($loop, $LOOP_GET_STATUS64, $info) or die "Cannot ask $device: $!\n";
  my $flags = unpack('L', substr($info, $FLAGS_AT, 4)) & ~$LO_FLAGS_AUTOCLEAR;
  substr($info, $FLAGS_AT, 4) = pack('L', $flags);
  ioctl($loop, $LOOP_SET_STATUS64, $info) or die "Cannot change $device: $!\n";
  print "kept\n";
}
