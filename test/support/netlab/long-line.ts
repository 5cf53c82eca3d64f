// A long and slow line between two machines of a netlab: every packet is delayed in each direction, and leaves at the rate of the line. A
// program in user space carries the packets between two tun devices, so that kernels without netem can have such a line. Both ends of a TCP
// connection see the whole delay. Invariant: the program ends with this process; a full queue drops packets, as a router does.

import { spawn } from 'node:child_process';
import type { Hosts } from '../hosts/hosts.ts';
import type { Machine } from './netlab.ts';

const PREFIX_LENGTH = 24;
/** The default of Linux, even if this machine has another setting. */
const CONGESTION = 'cubic';
/** Number of the system call setns. */
const SETNS = process.arch === 'arm64' ? 268 : 308;
/** `ARGV`: device, two files of namespaces, bytes per second, delay in seconds, longest time in the queue in seconds. */
const PROGRAM = `
use strict; use warnings; use Fcntl; use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC);
my ($device, @spaces) = splice @ARGV, 0, 3; my ($rate, $delay, $longest) = @ARGV;
my (@ends, @queues, @free) = (); my $now = clock_gettime(CLOCK_MONOTONIC);
for my $space (@spaces) {
  open my $of, '<', $space or die "$space: $!";
  syscall(${SETNS}, fileno $of, 0x40000000) == 0 or die "setns: $!";
  sysopen my $end, '/dev/net/tun', O_RDWR | O_NONBLOCK or die "tun: $!";
  my $request = pack 'a16 S x22', $device, 0x1001;
  ioctl $end, 0x400454ca, $request or die "no device $device: $!";
  push @ends, $end; push @queues, []; push @free, $now;
}
$| = 1; print "ready\\n";
while (1) {
  my ($ready, $wait) = ('', 1); vec($ready, fileno $_, 1) = 1 for @ends;
  for my $queue (@queues) { $wait = $queue->[0][0] - $now if @$queue && $queue->[0][0] - $now < $wait }
  select $ready, undef, undef, $wait > 0 ? $wait : 0;
  $now = clock_gettime(CLOCK_MONOTONIC);
  for my $way (0, 1) {
    for (1 .. 64) {
      last unless sysread $ends[$way], my $packet, 65536;
      my $begin = $free[$way] > $now ? $free[$way] : $now;
      next if $begin - $now > $longest;
      $free[$way] = $begin + length($packet) / $rate;
      push @{$queues[$way]}, [$free[$way] + $delay, $packet];
    }
    while (@{$queues[$way]} && $queues[$way][0][0] <= $now) { syswrite $ends[1 - $way], (shift @{$queues[$way]})->[1] }
  }
}
`;

export interface LongLine {
  readonly device: string;
  readonly addresses: readonly [string, string];
  readonly bitsPerSecond: number;
  /** Delay in each direction. */
  readonly delayMs: number;
}

/** Resolves when both machines have their end of the line. */
export async function longLine(hosts: Hosts, ends: readonly [Machine, Machine], line: LongLine): Promise<void> {
  const spaces = ends.map(({ namespace }) => `/run/netns/${namespace}`);
  const [rate, delay] = [line.bitsPerSecond / 8, line.delayMs / 1000];
  // The queue of a router usually has room for as much as is under way to and fro.
  const words = [line.device, ...spaces, String(rate), String(delay), String(2 * delay)];
  // With the priority of real time, the load of the machine does not delay packets.
  const child = spawn('setpriv', ['--pdeathsig', 'KILL', 'chrt', '--rr', '1', 'perl', '-e', PROGRAM, ...words], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  hosts.onClean(() => child.kill('SIGKILL'));
  await new Promise<void>((resolve, reject) => {
    child.stdout.once('data', () => resolve());
    child.once('exit', (code) => reject(new Error(`The line has ended with code ${code}`)));
  });
  for (const [index, end] of ends.entries()) {
    await end.ip('address', 'add', `${line.addresses[index]}/${PREFIX_LENGTH}`, 'dev', line.device);
    await end.ip('link', 'set', line.device, 'up');
    await end.setCongestion(line.device, line.addresses[index]!, CONGESTION);
  }
}
