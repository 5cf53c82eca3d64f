// The program of the keeper: parent of the process that does rsiod's work, in perl, because Node can neither take a descriptor out of another
// process nor be as small. It holds a copy of each raw device's descriptor, and when its child ends without a farewell, starts it anew with
// them. It never touches the devices. Invariants: its child never outlives it (parent-death signal); a descriptor that was dropped is closed
// before anything else is read; a child that ends again and again is started more and more slowly, and at last no more; only a child that
// runs, or sleeps, and says nothing is ended: never one that a person has stopped, or that waits for the kernel.

//   child -> keeper                                  keeper -> child
//   ready watched  up: ends without farewell count,  kept FD ID NOTE   ... when it begins
//                  and it answers to `alive?`        life N WHY        how the one before ended; `-`: it is the first
//   keep ID FD NOTE   -> ok ID, or no ID ERRNO       alive?            asked again when it was answered
//   note ID NOTE      another note
//   drop ID           -> gone ID
//   alive             the answer
//   again             begin anew when it has ended, at once
//   farewell          do not
// Notes and WHY have no line ends; they are the child's own business.

import {
  KEEPER_LIVES_MAX,
  KEEPER_PAUSE_MAX_MS,
  KEEPER_PAUSE_MIN_MS,
  KEEPER_QUIET_SECONDS,
  KEEPER_SETTLED_MS,
  KEEPER_SILENCE_SECONDS,
} from '@rsio/protocol/limits';

/** System call numbers: prctl of each architecture; those of descriptors are the same everywhere. */
const PRCTL: Readonly<Record<string, number>> = { x64: 157, arm64: 167 };

const SCRIPT = String.raw`
use strict;
use POSIX ();
use Socket;
my ($prctl, $bound, $starter, $file, $node, $lives, $settled, $shortest, $longest, $quiet, $patience, @command) = @ARGV;
my ($pidfd_open, $pidfd_getfd) = (434, 438);
my $name = "rsiod-keeper\0";
syscall($prctl + 0, 15, $name, 0, 0, 0);
# In the foreground it ends with the process at the terminal.
if ($bound) { syscall($prctl + 0, 1, 15, 0, 0, 0); }
else { chdir '/'; }
# Memory that others free may have to be written through its child first.
if (open(my $score, '>', '/proc/self/oom_score_adj')) { syswrite($score, "-900"); close $score; }
my ($child, $ending, $is_ready, $life, $why, $pause, $quick) = (0, 0, 0, 0, '-', 0, 0);
my (%kept, $link, $input, $is_watched, $rest, $silence, $held);
$SIG{PIPE} = 'IGNORE';
for my $signal (qw(TERM INT HUP)) {
  $SIG{$signal} = sub {
    if ($child) { kill $signal, $child; }
    elsif ($signal ne 'HUP') { exit 0; }
  };
}

sub complain {
  my ($text) = @_;
  open(my $log, '>>', $file) or return;
  my $time = time() * 1000;
  syswrite($log, qq({"level":"error","time":$time,"pid":$$,"node":"$node","msg":"$text"}\n));
}

sub answer {
  my ($line) = @_;
  my $bytes = "$line\n";
  while (length $bytes) {
    my $done = syswrite($link, $bytes);
    if (defined $done) { substr($bytes, 0, $done) = ''; }
    elsif ($! != POSIX::EINTR()) { return; }
  }
}

# In the child: standard descriptors, the starter's if there is one, the link, and what is kept, without gaps.
sub arrange {
  my @wanted = @_;
  my ($highest) = sort { $b <=> $a } (@wanted, 3 + @wanted);
  for my $at (0 .. $#wanted) { defined POSIX::dup2($wanted[$at], $highest + 1 + $at) or POSIX::_exit(126); }
  for my $at (0 .. $#wanted) {
    defined POSIX::dup2($highest + 1 + $at, 3 + $at) or POSIX::_exit(126);
    POSIX::close($highest + 1 + $at);
  }
}

# Without memory or descriptors for a moment: nothing is given up for that.
sub persist {
  my ($what, $try) = @_;
  for my $attempt (1 .. $lives) {
    return if $try->();
    complain("No new working process can be started yet ($what: $!): devices wait") if $attempt == 1;
    select(undef, undef, undef, 1);
  }
  exit 1;
}

sub begin {
  my $theirs;
  persist('socketpair', sub { socketpair($link, $theirs, AF_UNIX, SOCK_STREAM, PF_UNSPEC) });
  my @ids = sort { $a <=> $b } keys %kept;
  my $first = $starter ne '-' ? 1 : 0;
  my $keeper = $$;
  $life++;
  my $pid;
  persist('fork', sub { defined($pid = fork) });
  if ($pid == 0) {
    syscall($prctl + 0, 1, 9, 0, 0, 0);
    POSIX::_exit(126) if getppid() != $keeper;
    $SIG{$_} = 'DEFAULT' for qw(TERM INT HUP PIPE);
    $ENV{RSIO_KEEPER} = 3 + $first . " $life";
    if (!$first) { delete $ENV{$_} for qw(NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE RSIO_BACKGROUND); }
    arrange(($first ? ($starter) : ()), fileno($theirs), map { $kept{$_}[0] } @ids);
    exec { $command[0] } @command;
    POSIX::_exit(127);
  }
  $child = $pid;
  close $theirs;
  POSIX::close($starter + 0) if $first;
  $starter = '-';
  ($ending, $input, $is_watched, $rest, $silence, $held) = (0, '', 0, 0, -1, 0);
  my $at = 4 + $first;
  for my $id (@ids) { answer("kept " . $at++ . " $id $kept{$id}[1]"); }
  answer("life $life $why");
}

sub hear {
  my ($line) = @_;
  my ($verb, $id, $rest) = split ' ', $line, 3;
  if ($verb eq 'keep') {
    my ($fd, $note) = split ' ', $rest, 2;
    my $process = syscall($pidfd_open, $child + 0, 0);
    my $copy = $process < 0 ? -1 : syscall($pidfd_getfd, $process, $fd + 0, 0);
    my $errno = $! + 0;
    POSIX::close($process) if $process >= 0;
    if ($copy < 0) { answer("no $id $errno"); return; }
    $kept{$id} = [$copy, $note];
    answer("ok $id");
  }
  elsif ($verb eq 'note') { $kept{$id}[1] = $rest if exists $kept{$id}; }
  elsif ($verb eq 'drop') {
    my $entry = delete $kept{$id};
    POSIX::close($entry->[0]) if $entry;
    answer("gone $id");
  }
  elsif ($verb eq 'ready') { ($is_ready, $is_watched) = (1, ($id // '') eq 'watched'); }
  elsif ($verb eq 'alive') { ($rest, $silence, $held) = (0, -1, 0); }
  elsif ($verb eq 'again' || $verb eq 'farewell') { $ending = $verb; }
}

# Everything that has come; false when no more can come.
sub drain {
  my $got = sysread($link, $input, 65536, length $input);
  return $! == POSIX::EINTR() ? 1 : 0 if !defined $got;
  while ($input =~ s/^([^\n]*)\n//) { hear($1); }
  return $got > 0;
}

# One more quiet second. They are counted here, because those of a clock go on while the machine is suspended.
sub watch {
  # What is not held would end with the child, where it may still come round.
  return if !$is_watched || !%kept;
  if ($silence < 0) {
    return if ++$rest < $quiet;
    $silence = 0;
    answer('alive?');
    return;
  }
  open(my $file, '<', "/proc/$child/stat") or return;
  my ($state) = (<$file> // '') =~ /\) (\w)/;
  if (($state // '') !~ /[RS]/) {
    $silence = 0;
    complain("The working process (pid $child) has said nothing for $patience s and is in state $state: devices wait. If it was stopped: kill -CONT $child")
      if ++$held == $patience;
    return;
  }
  return if ++$silence < $patience;
  complain("The working process (pid $child) hangs, it has said nothing for $patience s: it is killed, and another one goes on");
  kill 'KILL', $child;
  $is_watched = 0;
}

while (1) {
  my $began = time();
  begin();
  my $open = 1;
  my $status;
  while (1) {
    my $readable = '';
    vec($readable, fileno($link), 1) = 1 if $open;
    # A signal that comes just before it waits is seen a second later.
    my $ready = select($readable, undef, undef, $open ? 1 : 0.02);
    watch() if $open && $ready == 0;
    $open = drain() if $open && $ready > 0;
    if (waitpid($child, POSIX::WNOHANG()) == $child) {
      $status = $?;
      last;
    }
  }
  1 while $open && do { my $readable = ''; vec($readable, fileno($link), 1) = 1; select($readable, undef, undef, 0) > 0 } && drain();
  $child = 0;
  close $link;
  my ($signal, $code) = ($status & 127, $status >> 8);
  exit $code if $ending eq 'farewell' || !$is_ready;
  if ($ending eq 'again') { ($why, $quick) = ('asked to begin anew', 0); next; }
  $why = $signal ? "signal $signal" : "exit code $code";
  $quick = (time() - $began) * 1000 > $settled ? 1 : $quick + 1;
  if ($quick >= $lives) {
    complain("The working process ended $quick times in a row, the last time by $why: no more is started, and devices fail. Start rsiod anew");
    exit 1;
  }
  next if $quick < 2;
  $pause = $shortest * 2 ** ($quick - 2);
  $pause = $longest if $pause > $longest;
  select(undef, undef, undef, $pause / 1000);
}
`;

export interface KeeperCommand {
  /** The keeper ends with its parent. */
  readonly isBound: boolean;
  /** Descriptor of the channel to whoever starts the daemon; null: there is none. */
  readonly starterFd: number | null;
  readonly logFile: string;
  /** For the log. */
  readonly node: string;
  /** What it runs. */
  readonly command: readonly string[];
}

/** Arguments for perl, or null: the system call numbers of this architecture are not known. */
export function keeperArguments(architecture: string, { isBound, starterFd, logFile, node, command }: KeeperCommand): string[] | null {
  const prctl = PRCTL[architecture];
  if (prctl === undefined) return null;
  const bounds = [
    KEEPER_LIVES_MAX,
    KEEPER_SETTLED_MS,
    KEEPER_PAUSE_MIN_MS,
    KEEPER_PAUSE_MAX_MS,
    KEEPER_QUIET_SECONDS,
    KEEPER_SILENCE_SECONDS,
  ].map(String);
  return ['-e', SCRIPT, '--', String(prctl), isBound ? '1' : '0', String(starterFd ?? '-'), logFile, node, ...bounds, ...command];
}
