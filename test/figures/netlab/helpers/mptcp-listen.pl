#!/usr/bin/perl
# Runs nbdkit on a listening socket of MPTCP, which nbdkit cannot open itself. Arguments: the port, the program, its arguments.
# Invariant: by socket activation, the program takes descriptor 3 as its listening socket.
use strict;
use warnings;
use Socket;
use POSIX ();

my $IPPROTO_MPTCP = 262;
my $port = shift;

$^F = 255;
socket(my $socket, PF_INET, SOCK_STREAM, $IPPROTO_MPTCP) or die "MPTCP: $!";
setsockopt($socket, SOL_SOCKET, SO_REUSEADDR, 1);
bind($socket, pack_sockaddr_in($port, INADDR_ANY)) or die "bind: $!";
listen($socket, 64);
POSIX::dup2(fileno($socket), 3);
$ENV{LISTEN_FDS} = 1;
$ENV{LISTEN_PID} = $$;
exec { $ARGV[0] } @ARGV or die "exec: $!";
