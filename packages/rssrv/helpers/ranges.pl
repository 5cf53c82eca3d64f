#!/usr/bin/perl
# The range helper (storage/files/range-helper.ts): kernel calls that Node does not have (fallocate, SEEK_DATA, SEEK_HOLE). It answers each line
# with one line and makes one system call at a time. Arguments: pid of the parent, system call numbers of fallocate and prctl, and perhaps of
# recvmsg: then PATH is -, and each file comes as a descriptor over the socket 3, because this process may open no paths.
# Invariant: it never outlives its parent (parent-death signal, and the end of its input).
#
#   open ID PATH writable|readonly known|probe   ->  0 canPunch canExtents
#   punch ID POSITION LENGTH                     ->  0            punches a hole; the file keeps its size
#   zero ID POSITION LENGTH                      ->  0            zeroes the range, which stays allocated
#   extents ID POSITION END PAIRS                ->  0 (LENGTH 0|1)...   0: data, 1: hole; lengths in bytes, from POSITION on
#   close ID                                     ->  0
# On failure the answer is only the errno number.
#
# Fallocate modes: 1 keep size, 2 punch hole, 16 zero range. Seek: 3 data, 4 hole; errno 6 (ENXIO): no data from here on.
# The probe punches past the end of a regular file, where no data can be lost.
# The process keeps the name perl, by which rssrv finds a helper that has outlived its worker (server/run-records.ts).
use strict;
my ($parent, $fallocate, $prctl, $recvmsg) = map { $_ + 0 } @ARGV;
$| = 1;
$SIG{$_} = 'IGNORE' for qw(INT TERM HUP);
syscall($prctl, 1, 9, 0, 0, 0);
exit 0 if getppid() != $parent;
# No core dumps, and no tracing by processes of the same user.
syscall($prctl, 4, 0, 0, 0, 0) if $recvmsg;
my %files;

sub allocate {
  my ($file, $mode, $position, $length) = @_;
  return syscall($fallocate, fileno($file), $mode, $position, $length) == 0 ? 0 : $! + 0;
}

# Takes over the open file of the parent, so that the mark on it stays as long as a thread of the parent is in the storage, even after the
# parent was killed and this helper with it. System calls: pidfd_open, pidfd_getfd (Linux 5.6), which may be forbidden.
my $pidfd;
sub taken_over {
  my ($path, $access) = @_;
  my ($number) = $path =~ m{^/proc/$parent/fd/(\d+)$} or return undef;
  $pidfd = syscall(434, $parent, 0) if !defined $pidfd;
  my $fd = $pidfd < 0 ? -1 : syscall(438, $pidfd, $number + 0, 0);
  my $file;
  return $fd >= 0 && open($file, $access eq 'writable' ? '+<&=' : '<&=', $fd) ? $file : undef;
}

# A shared lock of one byte far behind every volume, which helpers/locks.pl looks for. It stays as long as this helper has the file open,
# even if the worker is stopped and its listener is gone. Where a file system has no such locks, there is no mark. Fcntl 37: F_OFD_SETLK.
sub mark {
  my ($file) = @_;
  my $lock = pack('s s x4 q q l x4', 0, 0, 1 << 62, 1, 0);
  fcntl($file, 37, $lock);
}

# The next descriptor from the socket, with the open file of the parent. Flags: close on exec, do not wait. Errno 9: there is none.
sub received {
  my ($access) = @_;
  my ($tag, $control) = ("\0" x 8, "\0" x 24);
  my $piece = pack('P Q', $tag, 8);
  my $message = pack('Q Q P Q P Q Q', 0, 0, $piece, 1, $control, 24, 0);
  return (undef, 9) if syscall($recvmsg, 3, $message, 0x40000040) != 8 || unpack('Q', $control) != 20;
  my $fd = unpack('l', substr($control, 16));
  my $file;
  return open($file, $access eq 'writable' ? '+<&=' : '<&=', $fd) ? ($file, 0) : (undef, $! + 0);
}

sub opened {
  my ($path, $access) = @_;
  return received($access) if $recvmsg;
  my $file = taken_over($path, $access);
  return ($file, 0) if defined $file;
  return sysopen($file, $path, $access eq 'writable' ? 2 : 0) ? ($file, 0) : (undef, $! + 0);
}

sub attach {
  my ($id, $path, $access, $support) = @_;
  my ($file, $errno) = opened($path, $access);
  return $errno if !defined $file;
  $files{$id} = $file;
  mark($file) if $access eq 'writable';
  my $punch = $support eq 'known' ? 1 : 0;
  if ($support eq 'probe' && $access eq 'writable' && -f $file) {
    my $past = (-s $file) + 1048576;
    $punch = 1 if allocate($file, 3, $past - $past % 4096, 4096) == 0;
  }
  my $extents = -f $file && (defined(sysseek($file, 0, 3)) || $! == 6) ? 1 : 0;
  return "0 $punch $extents";
}

sub extents {
  my ($file, $position, $end, $pairs) = @_;
  my $size = -s $file;
  $end = $size if $size < $end;
  my @found = (0);
  while ($position < $end && @found < 2 * $pairs) {
    my $data = sysseek($file, $position, 3);
    if (!defined $data) {
      return $! + 0 if $! != 6;
      $data = $end;
    }
    $data = $end if $data > $end;
    if ($data > $position) {
      push @found, $data - $position, 1;
      $position = $data;
      next;
    }
    my $hole = sysseek($file, $position, 4);
    return $! + 0 if !defined $hole;
    $hole = $end if $hole > $end;
    push @found, $hole - $position, 0;
    $position = $hole;
  }
  return "@found";
}

while (defined(my $line = <STDIN>)) {
  my ($verb, $id, @words) = split ' ', $line;
  my $answer = 9;
  if ($verb eq 'open') { $answer = attach($id, @words); }
  elsif (exists $files{$id}) {
    my @numbers = $verb eq 'close' ? () : map { $_ + 0 } @words;
    if ($verb eq 'punch') { $answer = allocate($files{$id}, 3, @numbers); }
    elsif ($verb eq 'zero') { $answer = allocate($files{$id}, 17, @numbers); }
    elsif ($verb eq 'extents') { $answer = extents($files{$id}, @numbers); }
    elsif ($verb eq 'close') { delete $files{$id}; $answer = 0; }
  }
  print "$answer\n";
}
