#!/usr/bin/perl
# What the server of npm run drill -- vm-applications remembers: each line that the service has sent from its moving address (ledger.pl), and what each
# node says about its traces of the application (watch.pl), both with the time. Invariant: the files have whole lines, in order of arrival.
# Usage: collect.pl ADDRESS PORT ACKS TRACES; reports arrive as datagrams at the next port.
use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use Time::HiRes 'time';

my ( $address, $port, $acks, $traces ) = @ARGV;
my ( $CONNECT_S, $QUIET_S ) = ( 2, 5 );
my $reports = IO::Socket::INET->new( Proto => 'udp', LocalPort => $port + 1 ) or die "port: $!\n";

sub appended {
    my ($path) = @_;
    open my $file, '>>', $path or die "$path: $!\n";
    $file->autoflush;
    return $file;
}
my %file = ( acks => appended($acks), traces => appended($traces) );
my ( $service, $rest, $heard );

sub note {
    my ( $kind, $text ) = @_;
    printf { $file{$kind} } "%d %s\n", 1000 * time, $text;
}

while (1) {
    if ( not defined $service ) {
        $service = IO::Socket::INET->new( PeerAddr => $address, PeerPort => $port, Timeout => $CONNECT_S );
        ( $rest, $heard ) = ( '', time );
    }
    for my $one ( IO::Select->new( grep { defined } $reports, $service )->can_read(0.5) ) {
        if ( $one == $reports ) {
            $reports->recv( my $text, 500 );
            note( 'traces', $text );
        }
        elsif ( sysread $service, my $text, 4096 ) {
            my @lines = split /\n/, $rest . $text, -1;
            ( $rest, $heard ) = ( pop @lines, time );
            note( 'acks', $_ ) for @lines;
        }
        else { $heard = 0 }
    }
    undef $service if defined $service and time - $heard > $QUIET_S;
}
