// The server's end of a probe connection, and a proven client that sends anything. Oracle: no exception. The server sends only valid
// frames. The data of READs is zeros, and not more than requested. After the end of the connection, no buffer is lent and no timer runs.

import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { PROBE_TIME_MAX_MS } from '@rsio/protocol/explorer/limits';
import { OUTPUT_QUEUED_MAX_BYTES, SEGMENT_BYTES } from '@rsio/protocol/link/limits';
import { OUTPUT_BUFFER_BYTES } from '@rsio/protocol/wire/limits';
import { CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { type LinkShape, MemoryLink } from '@rsio/protocol/testing/memory-transport';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { Farewell, Ping } from '@rsio/protocol/wire/messages';
import { ProbeSession } from '@rsio/rssrv/session/probe-session';
import { anyFrame, dataOf, frameBytes } from '../../makers/frame-maker.ts';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { HostileEnd } from '../../fixtures/hostile-end.ts';
import { MeasuringPool } from '../../fixtures/measuring-pool.ts';
import { mutatedScript, readScript, scriptPieces, type Step, step } from '../../makers/script.ts';

const KIND = { BYTES: 0, TIME: 1, STAND: 2, CLOSE: 3 } as const;
const KINDS = 4;
const TIMES_MS = [1, 2, 10, 1000, PROBE_TIME_MAX_MS];
const EMPTY = Buffer.alloc(0);

/**
 * A clock on which each event-loop turn takes at least a millisecond. Code that asks for a further turn in each turn therefore ends at its
 * time limit, and does not run forever.
 */
class TurnClock extends FakeClock {
  override after(delayMs: number, fire: () => void): ReturnType<FakeClock['after']> {
    return super.after(Math.max(1, delayMs), fire);
  }

  override soon(fire: () => void): void {
    super.after(0, fire);
  }
}

function run(input: Buffer): boolean {
  const clock = new TurnClock();
  const cuts = new SeededRandom(5);
  const shape: LinkShape = { takeMs: () => 0, travelMs: () => 0, cut: (length) => cuts.int(1, length), restMs: () => 0 };
  const link = new MemoryLink(clock, shape);
  const pools = { bodies: new MeasuringPool(SEGMENT_BYTES), outputs: new CountingOutputPool() };
  const steps = readScript(input);
  const digest = (steps[0]?.arg ?? 0) % 2 === 1;
  const client = new HostileEnd(link.client, digest);
  let ends = 0;
  new ProbeSession(
    link.server,
    { welcomeKey: '00', transcript: '00', digest, interfaces: [], generation: 1 },
    { clock, pools, closed: () => ends++ },
  );
  for (const { kind, arg, bytes } of steps) {
    if (kind % KINDS === KIND.BYTES) client.send(bytes);
    else if (kind % KINDS === KIND.STAND) link.stand('back', arg % 2 === 0);
    else if (kind % KINDS === KIND.CLOSE && !client.end.isClosed) client.end.destroy(arg % 2 === 0);
    clock.advance(kind % KINDS === KIND.TIME ? TIMES_MS[arg % TIMES_MS.length]! : 0);
    const queuedMost = OUTPUT_QUEUED_MAX_BYTES + 4 * OUTPUT_BUFFER_BYTES;
    expectThat(pools.outputs.lent.size * OUTPUT_BUFFER_BYTES <= queuedMost, `${pools.outputs.lent.size} output buffers are lent`);
    expectThat(pools.bodies.lentBytes <= SEGMENT_BYTES, `${pools.bodies.lentBytes} bytes of bodies are lent`);
  }
  link.stand('back', false);
  clock.advance(2 * PROBE_TIME_MAX_MS);
  expectThat(ends === 1, `the probe has ended ${ends} times`);
  expectThat(pools.bodies.lent.size + pools.outputs.lent.size === 0, 'buffers are lent after the end');
  expectThat(clock.timersPending === 0, `${clock.timersPending} timers are set after the end`);
  const answers = client.count(OP.READ | ANSWER) + client.count(OP.WRITE | ANSWER) + client.count(OP.PONG);
  expectThat(answers <= client.sentBytes / 16, `${answers} answers to ${client.sentBytes} bytes`);
  return answers > 0;
}

function frame(random: SeededRandom, digest: boolean): Buffer {
  const count = random.chance(0.9) ? random.int(1, 16) : random.pick([0, 512, 513, 2048]);
  const fields = {
    slot: random.chance(0.97) ? random.int(0, 15) : random.pick([16, 65_535]),
    seq: random.int(0, 9),
    count,
    lba: random.int(0, 99),
  };
  switch (random.int(0, 9)) {
    case 0:
    case 1:
    case 2:
    case 3:
      return frameBytes(OP.READ, fields, 'io', EMPTY, digest);
    case 4:
    case 5:
      return frameBytes(OP.WRITE, fields, 'io', dataOf(Math.min(count, 100)), digest);
    case 6:
      return random.chance(0.8)
        ? frameBytes(OP.READ, { ...fields, handle: random.int(0, 1) }, 'io', EMPTY, digest)
        : frameBytes(OP.BYE, {}, 'message', Farewell.encode({ code: 'E_LIMIT', sentence: 'bye' }), digest);
    case 7:
      return random.chance(0.2) ? anyFrame(random, digest) : frameBytes(OP.READ, fields, 'io', EMPTY, digest);
    default:
      return frameBytes(OP.PING, {}, 'message', Ping.encode({ number: 1, clockMs: 1, heard: 0, oldestMs: 0, generation: 0 }), digest);
  }
}

function make(random: SeededRandom): Buffer {
  const digest = random.chance(0.3);
  const one = (): Step => {
    if (random.chance(0.3)) return step(random.pick([KIND.TIME, KIND.TIME, KIND.TIME, KIND.STAND, KIND.CLOSE]), random.int(0, 9));
    // A READ of the largest size. Sometimes, the client sends more of these READs than may be unanswered.
    const large = (): Buffer => frameBytes(OP.READ, { slot: random.int(0, 15), count: SEGMENT_BYTES / SECTOR_BYTES }, 'io', EMPTY, digest);
    const isStorm = random.chance(0.04);
    const frames = Array.from({ length: isStorm ? 24 : random.int(1, 8) }, () => (isStorm ? large() : frame(random, digest)));
    return step(KIND.BYTES, digest ? 1 : 0, Buffer.concat(frames));
  };
  const steps = Array.from({ length: random.int(1, 8) }, one);
  return mutatedScript(random, [step(KIND.BYTES, digest ? 1 : 0), ...steps], one);
}

export const probeSession: FuzzTarget = {
  name: 'probe-session',
  deep: 'the probe answered something',
  fixedSeeds: 500,
  make,
  run,
  pieces: scriptPieces,
};
