#!/usr/bin/perl
# The keeper: the parent of rsiod's working process. It is a Perl program because Node cannot copy a descriptor from another process and
# needs more memory than Perl. It holds a copy of each raw device's descriptor, and if the child ends without a farewell, starts another one
# and passes the copies to it. It never touches the devices. keeper/keeper-choice.ts starts it and defines its arguments. Invariants: the
# child never outlives the keeper (parent-death signal); a dropped descriptor is closed before anything else is read; a child that ends
# repeatedly is restarted with growing pauses, a limited number of times; a child that does not answer is killed only if it runs or sleeps,
# never if it was stopped or waits in the kernel; the log shows how a child ended, with its last output.

#   child -> keeper                                  keeper -> child
#   ready watched  up: an end without farewell is a  kept FD ID NOTE   for each held descriptor, at the start
#                  crash; it answers `alive?`        life N WHY        how the previous child ended; `-`: the first child
#   keep ID FD NOTE   -> ok ID, or no ID ERRNO       alive?            the child must answer
#   keep-of ID PID FD NOTE   like keep, but of process PID, which the child has started
#   note ID NOTE      changes the note
#   drop ID           -> gone ID
#   at N ID ...       -> at N FD ..., or no N ERRNO: the numbers that held descriptors have here (helpers/inherit.pl copies them)
#   alive             the answer to `alive?`
#   again             restart the child at once when it has ended
#   farewell          do not restart it
# Notes and WHY contain no line ends. Only the child interprets notes.
# RSIO_KEEPER has the child's number of the link, the number of the child, and the version of this protocol. A restart of rsiod does not
# replace the keeper, so the child uses keep-of and at only if the version is at least 2, and the keeper sends new lines only as answers.

use strict;
use POSIX ();
use Socket;
my ($prctl, $bound, $starter, $file, $node, $lives, $settled, $shortest, $longest, $quiet, $patience, @command) = @ARGV;
my ($pidfd_open, $pidfd_getfd) = (434, 438);
my $version = 2;
# The process name that pgrep finds. The arguments stay unchanged, so that ps shows the command and a longer name does not overwrite the
# environment.
my $name = "rsiod: keeper\0";
syscall($prctl + 0, 15, $name, 0, 0, 0);
# In the foreground the keeper ends with its parent.
if ($bound) { syscall($prctl + 0, 1, 15, 0, 0, 0); }
else { chdir '/'; }
# To free memory of other processes, the kernel may have to write this memory through the child, so the keeper should be killed last.
if (open(my $score, '>', '/proc/self/oom_score_adj')) { syswrite($score, "-900"); close $score; }
my ($child, $ending, $is_ready, $life, $why, $pause, $quick) = (0, 0, 0, 0, '-', 0, 0);
my (%kept, $link, $input, $is_watched, $rest, $silence, $held);
# In the background stderr has no reader, so the keeper stores the child's last output for the log.
my ($last_max, $errors, $last, $kills) = (2000, undef, '', 0);
$SIG{PIPE} = 'IGNORE';
for my $signal (qw(TERM INT HUP)) {
  $SIG{$signal} = sub {
    if ($child) { kill $signal, $child; }
    elsif ($signal ne 'HUP') { exit 0; }
  };
}

sub complain {
  my ($text) = @_;
  $text =~ s/[^\x20-\x7e]+/ /g;
  $text =~ s/([\\"])/\\$1/g;
  if ($file =~ /^(journal|syslog):(.*)/) {
    my ($kind, $to) = ($1, $2);
    my $entry = $kind eq 'syslog' ? "<27>rsiod[$$]: $text"
      # The last argument of the command is the root.
      : "MESSAGE=$text\nPRIORITY=3\nSYSLOG_IDENTIFIER=rsiod\nSYSLOG_PID=$$\nRSIO_ROOT=$command[-1]\nRSIO_NODE=$node\nRSIO_PATH=main\nRSIO_TIME=" . time() * 1000 . "\n";
    # 64: MSG_DONTWAIT. The keeper must never wait for the journal.
    socket(my $out, Socket::PF_UNIX(), Socket::SOCK_DGRAM(), 0) or return;
    send($out, $entry, 64, Socket::pack_sockaddr_un($to));
    return;
  }
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

# Runs in the child: moves the starter's channel (if any), the link and the held descriptors to the numbers from 3 on, without gaps.
sub arrange {
  my @wanted = @_;
  my ($highest) = sort { $b <=> $a } (@wanted, 3 + @wanted);
  for my $at (0 .. $#wanted) { defined POSIX::dup2($wanted[$at], $highest + 1 + $at) or POSIX::_exit(126); }
  for my $at (0 .. $#wanted) {
    defined POSIX::dup2($highest + 1 + $at, 3 + $at) or POSIX::_exit(126);
    POSIX::close($highest + 1 + $at);
  }
}

# Repeats a call that fails for lack of memory or descriptors.
sub persist {
  my ($what, $try) = @_;
  for my $attempt (1 .. $lives) {
    return if $try->();
    complain("Cannot start a new working process yet ($what: $!): I/O on devices waits") if $attempt == 1;
    select(undef, undef, undef, 1);
  }
  exit 1;
}

sub begin {
  my ($theirs, $said);
  if (!$bound) { persist('pipe', sub { pipe($errors, $said) }); }
  ($last, $kills) = ('', kills());
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
    $ENV{RSIO_KEEPER} = 3 + $first . " $life $version";
    # By default, glibc returns only freed blocks of 128 KiB or more to the system, so buffers of 64 KiB would stay with rsiod.
    $ENV{MALLOC_MMAP_THRESHOLD_} //= 65536;
    if (!$first) { delete $ENV{$_} for qw(NODE_CHANNEL_FD NODE_CHANNEL_SERIALIZATION_MODE RSIO_BACKGROUND); }
    if ($said) { POSIX::dup2(fileno($said), 2); }
    arrange(($first ? ($starter) : ()), fileno($theirs), map { $kept{$_}[0] } @ids);
    exec { $command[0] } @command or POSIX::_exit(127);
  }
  $child = $pid;
  close $theirs;
  close $said if $said;
  POSIX::close($starter + 0) if $first;
  $starter = '-';
  ($ending, $input, $is_watched, $rest, $silence, $held) = (0, '', 0, 0, -1, 0);
  my $at = 4 + $first;
  for my $id (@ids) { answer("kept " . $at++ . " $id $kept{$id}[1]"); }
  answer("life $life $why");
}

sub parent_of {
  my ($pid) = @_;
  open(my $file, '<', '/proc/' . ($pid + 0) . '/stat') or return 0;
  return join('', <$file>) =~ /^.*\) \S (\d+)/s ? $1 : 0;
}

# Copies a descriptor of the child, or of a process that the child has started. Returns a negative number and sets $! if it cannot.
sub copy_of {
  my ($pid, $fd) = @_;
  my $process = syscall($pidfd_open, $pid + 0, 0);
  return -1 if $process < 0;
  # If another process has taken the pid since then, the kernel copies nothing.
  my $is_ours = $pid == $child || parent_of($pid) == $child;
  my $copy = $is_ours ? syscall($pidfd_getfd, $process, $fd + 0, 0) : -1;
  my $errno = $is_ours ? $! + 0 : POSIX::EPERM();
  POSIX::close($process);
  $! = $errno;
  return $copy;
}

sub hear {
  my ($line) = @_;
  my ($verb, $id, $rest) = split ' ', $line, 3;
  if ($verb eq 'keep' || $verb eq 'keep-of') {
    my ($pid, $fd, $note) = split ' ', $verb eq 'keep' ? "$child $rest" : $rest, 3;
    my $copy = copy_of($pid, $fd);
    if ($copy < 0) { answer("no $id " . ($! + 0)); return; }
    $kept{$id} = [$copy, $note];
    answer("ok $id");
  }
  elsif ($verb eq 'at') {
    my @ids = split ' ', $rest;
    my @places = map { exists $kept{$_} ? $kept{$_}[0] : () } @ids;
    answer(@places == @ids ? "at $id @places" : "no $id " . POSIX::ENOENT());
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

# Reads and handles all received lines. False: no more lines can come.
sub drain {
  my $got = sysread($link, $input, 65536, length $input);
  return $! == POSIX::EINTR() ? 1 : 0 if !defined $got;
  while ($input =~ s/^([^\n]*)\n//) { hear($1); }
  return $got > 0;
}

# Reads the child's stderr. False: no more output can come.
sub read_errors {
  my $got = sysread($errors, my $bytes, 65536);
  return $! == POSIX::EINTR() ? 1 : 0 if !defined $got;
  $last = substr($last . $bytes, -$last_max) if $got > 0;
  return $got > 0;
}

# Returns the number of processes that the kernel has killed for lack of memory.
sub kills {
  open(my $counts, '<', '/proc/vmstat') or return 0;
  while (<$counts>) { return $1 if /^oom_kill (\d+)/; }
  return 0;
}

# Returns the name of a signal on this machine.
sub name_of {
  my ($signal) = @_;
  no warnings 'once';
  my @names = eval { require Config; split ' ', $Config::Config{sig_name} };
  return $names[$signal] // $signal;
}

sub report_end {
  my ($signal, $code, $pid) = @_;
  my $how = $signal ? 'was killed by signal ' . name_of($signal) : "ended with exit code $code";
  my $memory = $signal == 9 && kills() > $kills ? ', because the kernel was out of memory (see dmesg)' : '';
  my $output = $last =~ /\S/ ? ": $last" : '';
  complain("The working process (pid $pid) $how$memory$output");
}

# Called after one more second without input. The keeper counts seconds, because a clock also runs while the machine is suspended.
sub watch {
  # Without held devices there is no reason to kill a child that may still recover.
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
    complain("The working process (pid $child) has not answered for $patience s and is in state $state: I/O on devices waits. If it was stopped: kill -CONT $child")
      if ++$held == $patience;
    return;
  }
  return if ++$silence < $patience;
  complain("The working process (pid $child) hangs: it has not answered for $patience s. It is killed and restarted");
  kill 'KILL', $child;
  $is_watched = 0;
}

while (1) {
  my $began = time();
  begin();
  my $open = 1;
  my $is_heard = !$bound;
  my ($status, $pid);
  while (1) {
    my $readable = '';
    vec($readable, fileno($link), 1) = 1 if $open;
    vec($readable, fileno($errors), 1) = 1 if $is_heard;
    # A signal that arrives just before select is handled a second later.
    my $ready = select($readable, undef, undef, $open ? 1 : 0.02);
    watch() if $open && $ready == 0;
    $is_heard = read_errors() if $is_heard && $ready > 0 && vec($readable, fileno($errors), 1);
    $open = drain() if $open && $ready > 0 && vec($readable, fileno($link), 1);
    if (waitpid($child, POSIX::WNOHANG()) == $child) {
      $status = $?;
      last;
    }
  }
  1 while $open && do { my $readable = ''; vec($readable, fileno($link), 1) = 1; select($readable, undef, undef, 0) > 0 } && drain();
  # A process that the child started may keep the other end open forever, so the keeper reads only available output.
  1 while $is_heard && do { my $readable = ''; vec($readable, fileno($errors), 1) = 1; select($readable, undef, undef, 0) > 0 } && read_errors();
  $pid = $child;
  $child = 0;
  close $link;
  close $errors if $errors;
  my ($signal, $code) = ($status & 127, $status >> 8);
  report_end($signal, $code, $pid) if !$ending && ($signal || $code);
  exit($signal ? 1 : $code) if $ending eq 'farewell' || !$is_ready;
  if ($ending eq 'again') { ($why, $quick) = ('restart requested', 0); next; }
  $why = $signal ? "signal $signal" : "exit code $code";
  $quick = (time() - $began) * 1000 > $settled ? 1 : $quick + 1;
  if ($quick >= $lives) {
    complain("The working process ended $quick times in a row, the last time by $why: it is not restarted, and devices fail. Start rsiod again");
    exit 1;
  }
  next if $quick < 2;
  $pause = $shortest * 2 ** ($quick - 2);
  $pause = $longest if $pause > $longest;
  select(undef, undef, undef, $pause / 1000);
}
