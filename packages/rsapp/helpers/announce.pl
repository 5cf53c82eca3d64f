#!/usr/bin/perl
# Announces an address by ARP, so that other machines send to this one: a request and a reply, several times. machine/address.ts starts it.
# Arguments: index and MAC of the network device, address, how often.

use strict;
use Socket;
my ($index, $mac, $ip, $count) = @ARGV;
my ($AF_PACKET, $ETH_P_ARP, $ETH_P_IP, $ETHERNET) = (17, 0x0806, 0x0800, 1);
$mac = pack('H12', join('', split(/:/, $mac)));
socket(my $socket, $AF_PACKET, SOCK_DGRAM, unpack('S', pack('n', $ETH_P_ARP))) or die "socket: $!\n";
# struct sockaddr_ll: family, protocol, index, hardware type, packet type, length and bytes of the address.
my $to = pack('S n i S C C a8', $AF_PACKET, $ETH_P_ARP, $index, $ETHERNET, 0, 6, "\xff" x 6);
for (1 .. $count) {
  for my $operation (1, 2) {
    my $target = $operation == 1 ? "\0" x 6 : $mac;
    my $arp = pack('n n C C n a6 a4 a6 a4', $ETHERNET, $ETH_P_IP, 6, 4, $operation, $mac, inet_aton($ip), $target, inet_aton($ip));
    defined(send($socket, $arp, 0, $to)) or die "send: $!\n";
  }
}
