// The program of the sender, which reads lines from a named pipe and sends each line as one datagram. The program is in Perl, because Node
// cannot send datagrams on Unix sockets. Invariants: the program exits when it has sent everything and no process has the pipe open for
// writing. The program ignores the signals that end the daemon. Perl reads the program from its standard input, and the pipe is descriptor
// 3. The arguments are the socket, the marks file, the seconds between two tries, the number of tries, and the maximum number of bytes in a
// line. A line that begins with 0x02 is a mark. When all lines before a mark are sent, the number of the mark is written to the marks file.

export const SENDER_PROGRAM = String.raw`
use strict; use warnings; use Socket; use Fcntl;
my ($to, $marks, $pause, $tries, $max) = @ARGV;
$SIG{$_} = 'IGNORE' for qw(INT TERM HUP PIPE);
chdir '/';
$0 = 'rsio-log';
open(my $in, '<&=', 3) or die;
fcntl($in, F_SETFL, 0);
my ($out, $rest, $lost, %part) = (undef, '', 0);
sub reach {
  socket(my $socket, PF_UNIX, SOCK_DGRAM, 0) or return undef;
  setsockopt($socket, SOL_SOCKET, SO_SNDBUF, 1 << 20);
  return connect($socket, pack_sockaddr_un($to)) ? $socket : undef;
}
sub deliver {
  my ($text) = @_;
  for my $try (1 .. $tries) {
    $out = reach() unless defined $out;
    if (defined $out) {
      return 1 if defined send($out, $text, 0);
      last if $!{EMSGSIZE};
      $out = undef;
    }
    select(undef, undef, undef, $pause);
  }
  return 0;
}
sub line {
  my ($text) = @_;
  if ($text =~ /^\x02(\d+)$/) {
    if (open(my $file, '>', $marks)) { print $file $1; close $file; }
    return;
  }
  if ($text =~ s/^([\x03\x04])(\d+) //) {
    my ($kind, $pid) = ($1, $2);
    $part{$pid} = substr(($part{$pid} // '') . $text, 0, $max);
    return if $kind eq "\x03";
    $text = delete $part{$pid};
  }
  return if $text eq '';
  $text =~ s/\x1e/\n/g;
  $text .= "\n" if $text =~ /^MESSAGE=/;
  if (!deliver($text)) { $lost++; return; }
  if ($lost) {
    my $said = $text;
    my $words = "$lost log lines were lost, because the log could not be reached";
    $said =~ s/^MESSAGE=.*/MESSAGE=$words/ or $said =~ s/(\]: ).*/$1$words/;
    $lost = 0 if deliver($said);
  }
}
while (1) {
  my $count = sysread($in, $rest, 65536, length $rest);
  if (!defined $count) { next if $!{EINTR}; last; }
  last if $count == 0;
  while ($rest =~ s/^([^\n]*)\n//) { line($1); }
  $rest = '' if length $rest > $max;
}
`;
