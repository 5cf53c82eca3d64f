#!/usr/bin/perl
# The frames of ATA over Ethernet of one network interface (gates/aoe/frame-helper.ts), because Node has no packet sockets. Arguments: name
# of the interface, number of the shelf, pid of the parent, number of the system call prctl (0: unknown), longest frame.
# Invariants: it never outlives its parent; it never waits for one direction only; when its output is full, frames stay in the socket, whose
# buffer is bounded. The interface is not made promiscuous, and frames for other machines, other shelves and answers are dropped here.
#
#   output   LENGTH TIME FRAME   big-endian, 4 and 8 bytes; LENGTH counts TIME and FRAME; TIME: when the kernel received it, microseconds
#            (1: unknown, which is too old for a write)
#            LENGTH 0 MAC MTU    at the start and after each change: the card, 6 and 4 bytes
#   input    LENGTH FRAME        frames to send
# If the interface is missing or disappears, it ends, and the last line of stderr says why. Numbers: AF_PACKET 17, SOCK_RAW 3, type 88a2.
use strict;
use warnings;
my ($name, $shelf, $parent, $prctl, $longest) = @ARGV;
my ($SIOCGSTAMP, $SIOCGIFMTU, $SIOCGIFHWADDR, $SIOCGIFINDEX) = (0x8906, 0x8921, 0x8927, 0x8933);
my ($TYPE, $EVERY_SHELF, $FRAMES_AT_ONCE, $RECEIVE_BYTES) = (0x88a2, 0xffff, 64, 1 << 20);
my ($SOL_SOCKET, $SO_RCVBUF, $MSG_DONTWAIT, $F_SETFL, $O_NONBLOCK) = (1, 8, 0x40, 4, 0x800);
my ($OTHERHOST, $OUTGOING, $RESPONSE) = (3, 4, 8);
$SIG{$_} = 'IGNORE' for qw(INT TERM HUP PIPE);
syscall($prctl + 0, 1, 9, 0, 0, 0) if $prctl;
exit 0 if getppid() != $parent;

sub fail { print STDERR "$_[0]\n"; exit 1; }

socket(my $socket, 17, 3, 0) or fail("A packet socket was refused: $!");
sub asked {
  my ($request) = @_;
  my $answer = pack('a16 x24', $name);
  return ioctl($socket, $request, $answer) ? substr($answer, 16) : undef;
}
my $found = asked($SIOCGIFINDEX);
fail("There is no interface $name") if !defined $found;
my $index = unpack('i', $found);
setsockopt($socket, $SOL_SOCKET, $SO_RCVBUF, pack('i', $RECEIVE_BYTES));
# The first question makes the kernel note when frames arrive.
ioctl($socket, $SIOCGSTAMP, my $stamp = "\0" x 16);
bind($socket, pack('S n i S C C a8', 17, $TYPE, $index, 0, 0, 0, '')) or fail("Interface $name cannot be used: $!");
fcntl($_, $F_SETFL, $O_NONBLOCK) for \*STDIN, \*STDOUT;

my ($card, $input, $output) = ('', '', '');
# Tells the parent about the card if it has changed.
sub look {
  my ($now, $mac, $mtu) = map { asked($_) } $SIOCGIFINDEX, $SIOCGIFHWADDR, $SIOCGIFMTU;
  fail("Interface $name has disappeared") if !defined $now || unpack('i', $now) != $index || !defined $mac || !defined $mtu;
  my $seen = substr($mac, 2, 6) . pack('N', unpack('i', $mtu));
  $output .= pack('N Q>', 18, 0) . $seen if $seen ne $card;
  $card = $seen;
}

sub received_us {
  my $time = "\0" x 16;
  return 1 if !ioctl($socket, $SIOCGSTAMP, $time);
  my ($seconds, $micros) = unpack('l! l!', $time);
  return $seconds * 1000000 + $micros;
}

sub receive {
  for (1 .. $FRAMES_AT_ONCE) {
    my $from = recv($socket, my $frame, $longest + 1, $MSG_DONTWAIT);
    return if !defined $from;
    my $kind = unpack('x10 C', $from);
    next if $kind == $OTHERHOST || $kind == $OUTGOING || length $frame < 24 || length $frame > $longest;
    my ($flags, $wanted) = unpack('x14 C x n', $frame);
    next if $flags & $RESPONSE || ($wanted != $shelf && $wanted != $EVERY_SHELF);
    $output .= pack('N Q>', 8 + length $frame, received_us()) . $frame;
  }
}

# A frame that the kernel does not take now is lost, as in a network.
sub transmit {
  my $at = 0;
  while (length($input) - $at >= 4) {
    my $length = unpack('N', substr($input, $at, 4));
    last if length($input) - $at < 4 + $length;
    send($socket, substr($input, $at + 4, $length), $MSG_DONTWAIT);
    $at += 4 + $length;
  }
  substr($input, 0, $at, '');
}

my $looked = 0;
while (1) {
  if (time() != $looked) { look(); $looked = time(); }
  my ($readable, $writable) = ('', '');
  vec($readable, fileno(STDIN), 1) = 1;
  vec($readable, fileno($socket), 1) = 1 if $output eq '';
  vec($writable, fileno(STDOUT), 1) = 1 if $output ne '';
  my $ready = select($readable, $writable, undef, 1);
  next if $ready <= 0;
  if (vec($readable, fileno(STDIN), 1)) {
    my $count = sysread(STDIN, $input, 65536, length $input);
    exit 0 if defined $count ? $count == 0 : !$!{EAGAIN} && !$!{EINTR};
    transmit();
  }
  receive() if $output eq '' && vec($readable, fileno($socket), 1);
  if ($output ne '') {
    my $count = syswrite(STDOUT, $output);
    exit 0 if !defined $count && !$!{EAGAIN} && !$!{EINTR};
    substr($output, 0, $count, '') if $count;
  }
}
