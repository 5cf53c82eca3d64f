#!/usr/bin/perl
# Runs a program with a connection of MPTCP, which Node cannot open. Arguments: address, port, number of the descriptor, the program, its
# arguments.
use strict;
use warnings;
use Socket qw(:DEFAULT IPPROTO_TCP TCP_NODELAY);
use POSIX ();

my $IPPROTO_MPTCP = 262;
my ($address, $port, $descriptor) = splice @ARGV, 0, 3;

$^F = 255;
socket(my $socket, PF_INET, SOCK_STREAM, $IPPROTO_MPTCP) or die "MPTCP: $!";
setsockopt($socket, IPPROTO_TCP, TCP_NODELAY, 1);
connect($socket, pack_sockaddr_in($port, inet_aton($address))) or die "connect: $!";
POSIX::dup2(fileno($socket), $descriptor);
exec { $ARGV[0] } @ARGV or die "exec: $!";
