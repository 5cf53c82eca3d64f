// Sends and receives raw frames of AoE on a network card of a network namespace, for tests. It shares no code with the gate.
// Invariant: the program behind it ends with this process, and every wait has a bound.

import { type ChildProcess, spawn } from 'node:child_process';
import { replyIn, type Reply } from '@rsio/gates/aoe/testing/raw-initiator';
import { waitFor } from '../programs/wait-for.ts';

const ANSWER_MS = 20_000;
/** Program that reads and writes frames, each after its length. In a flood, it repeats the last frame that it got until its input ends. */
const PROGRAM = `
use strict; use warnings;
my ($name, $flood) = @ARGV;
socket(my $s, 17, 3, 0) or die "socket: $!";
my $request = pack('a16 x24', $name);
ioctl($s, 0x8933, $request) or die "no $name: $!";
my $index = unpack('x16 i', $request);
bind($s, pack('S n i S C C a8', 17, 0x88a2, $index, 0, 0, 0, '')) or die "bind: $!";
setsockopt($s, 1, 8, pack('i', 1 << 22));
ioctl($s, 0x8927, $request) or die "no address: $!";
binmode STDIN; binmode STDOUT; $| = 1;
print pack('N', 6), substr($request, 18, 6);
my ($input, $frame) = ('', undef);
while (1) {
  my $ready = '';
  vec($ready, 0, 1) = 1; vec($ready, fileno($s), 1) = 1;
  my $count = select($ready, undef, undef, defined $frame ? 0 : undef);
  if (vec($ready, 0, 1)) {
    exit 0 if !sysread(STDIN, $input, 65536, length $input);
    while (length($input) >= 4 && length($input) >= 4 + unpack('N', $input)) {
      my $one = substr($input, 4, unpack('N', $input));
      substr($input, 0, 4 + length $one, '');
      if ($flood) { $frame = $one } else { send($s, $one, 0) }
    }
  }
  if (vec($ready, fileno($s), 1)) {
    my $from = recv($s, my $one, 10000, 0x40);
    print pack('N', length $one), $one if defined $from && unpack('x10 C', $from) != 4 && !$flood;
  }
  if (defined $frame) { send($s, $frame, 0x40) for 1 .. 50 }
}
`;

export class FrameCard {
  /** MAC address of the card. */
  mac = '';
  private readonly child: ChildProcess;
  private rest = Buffer.alloc(0);
  private readonly received: Buffer[] = [];

  private constructor(command: readonly string[], device: string, isFlood: boolean) {
    const [program, ...args] = [...command, 'setpriv', '--pdeathsig', 'KILL', 'perl', '-e', PROGRAM, device, isFlood ? '1' : ''];
    this.child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] });
    this.child.stdin?.on('error', () => undefined);
    this.child.stdout?.on('data', (bytes: Buffer) => this.take(bytes));
  }

  /** `command`: the prefix that runs a program in the namespace. In a flood, the last frame is sent again and again. */
  static async open(command: readonly string[], device: string, isFlood = false): Promise<FrameCard> {
    const card = new FrameCard(command, device, isFlood);
    const own = await waitFor(() => card.received.shift(), ANSWER_MS, `Card ${device} is open`);
    card.mac = own.toString('hex').replace(/(..)(?=.)/g, '$1:');
    return card;
  }

  send(frame: Buffer): void {
    const length = Buffer.alloc(4);
    length.writeUInt32BE(frame.length);
    this.child.stdin?.write(Buffer.concat([length, frame]));
  }

  /** Returns the first answer that fits, and drops those before it. */
  async next(fits: (reply: Reply) => boolean = () => true): Promise<Reply> {
    const found = (): Reply | undefined => {
      for (let one = this.received.shift(); one !== undefined; one = this.received.shift()) {
        const reply = replyIn(one);
        if (reply.flags.startsWith('R') && fits(reply)) return reply;
      }
      return undefined;
    };
    return await waitFor(found, ANSWER_MS, 'An answer arrives');
  }

  /** Sends a frame until it is answered, as a host does. No other frame may have the same tag. */
  async ask(frame: Buffer, repeatMs = 500): Promise<Reply> {
    const tag = frame.readUInt32BE(20);
    let sentMs = 0;
    const found = (): Reply | undefined => {
      const nowMs = performance.now();
      if (nowMs - sentMs >= repeatMs) {
        sentMs = nowMs;
        this.send(frame);
      }
      return this.pick(tag);
    };
    return await waitFor(found, ANSWER_MS, 'The frame is answered');
  }

  /** Removes and returns all answers that have arrived. */
  all(): Reply[] {
    return this.received.splice(0).map(replyIn);
  }

  close(): void {
    this.child.kill('SIGKILL');
  }

  private pick(tag: number): Reply | undefined {
    const at = this.received.findIndex((one) => one.readUInt32BE(20) === tag && (one[14]! & 8) !== 0);
    return at < 0 ? undefined : replyIn(this.received.splice(at, 1)[0]!);
  }

  private take(bytes: Buffer): void {
    this.rest = Buffer.concat([this.rest, bytes]);
    while (this.rest.length >= 4 && this.rest.length >= 4 + this.rest.readUInt32BE(0)) {
      const end = 4 + this.rest.readUInt32BE(0);
      this.received.push(this.rest.subarray(4, end));
      this.rest = this.rest.subarray(end);
    }
  }
}
