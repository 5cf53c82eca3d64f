#!/usr/bin/perl
# The service of npm run drill -- vm-applications: four times a second, it appends a line with a number and the name of this machine to a file, and syncs.
# Only then, it sends the line to the programs that are connected to its port. It continues after the last whole line that it finds.
# Invariant: a line that was sent is durable; an error of I/O ends the service. Usage: ledger.pl FILE PORT.
use strict;
use warnings;
use IO::Handle;
use IO::Select;
use IO::Socket::INET;
use Sys::Hostname;

my ( $path, $port ) = @ARGV;
open my $file, '+<', $path or die "$path: $!\n";
my ( $number, $bytes ) = ( 0, 0 );
while ( my $line = <$file> ) {
    $line =~ /^(\d+) \S+\n$/ or last;
    $number = $1;
    $bytes += length $line;
}
truncate $file, $bytes or die "$path: $!\n";
seek $file, $bytes, 0  or die "$path: $!\n";
my $server = IO::Socket::INET->new( Listen => 4, LocalPort => $port, ReuseAddr => 1 ) or die "port $port: $!\n";
my $select = IO::Select->new($server);
my @peers;
$SIG{PIPE} = 'IGNORE';
print "goes on after line $number\n";
STDOUT->flush;

while (1) {
    if ( $select->can_read(0.25) and my $peer = $server->accept ) {
        $peer->blocking(0);
        push @peers, $peer;
    }
    $number += 1;
    my $line = "$number " . hostname() . "\n";
    print {$file} $line and $file->flush and $file->sync or die "$path: $!\n";
    @peers = grep { defined syswrite $_, $line } @peers;
}
