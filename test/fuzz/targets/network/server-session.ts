// A session of the server with its paths, over connections in memory. Its proven client sends anything, its storage answers at any time,
// and its listener grants and revokes. Oracle: no exception and no I/O outside of open handles. Memory and requests stay within their
// bounds. Only valid frames are sent, and no WELCOME in clear if TLS was agreed. After the end of the session, no buffer is lent, no handle
// is open and no request waits.

import { setImmediate as nextTurn } from 'node:timers/promises';
import { BODY_MAX_BYTES } from '@rsio/base/lib/limits';
import { OUTPUT_HARD_MAX_BYTES, PATHS_PER_TRUNK_MAX, WINDOW_BYTES } from '@rsio/protocol/link/limits';
import { OUTPUT_BUFFER_BYTES, SLOTS } from '@rsio/protocol/wire/limits';
import { REREAD_MAX_BYTES } from '@rsio/rssrv/session/limits';
import { CountingOutputPool } from '@rsio/protocol/testing/counting-pools';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { type LinkShape, MemoryLink } from '@rsio/protocol/testing/memory-transport';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { STATUS } from '@rsio/protocol/wire/status';
import { Session } from '@rsio/rssrv/session/session';
import type { Grant } from '@rsio/rssrv/volumes/holds/grants';
import { expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { HeldBackends } from '../../fixtures/held-backend.ts';
import { HostileEnd } from '../../fixtures/hostile-end.ts';
import { MeasuringPool } from '../../fixtures/measuring-pool.ts';
import { RequestMaker } from '../../makers/request-maker.ts';
import { mutatedScript, readScript, scriptPieces, type Step, step } from '../../makers/script.ts';

const KIND = { BYTES: 0, PATH: 1, TIME: 2, FINISH: 3, STAND: 4, CLOSE: 5, LIST: 6, SPEED: 7, TURN: 8, REVOKE: 9 } as const;
const KINDS = 10;
const TIMES_MS = [0, 1, 50, 1000, 6000, 16_000];
const STATUSES = [STATUS.OK, STATUS.OK, STATUS.IO_ERROR, STATUS.NO_SPACE] as const;
const AT = { name: 'if0', address: '127.45.0.10', port: 5000 };
const PATHS_MAX = 6;
const VOLUMES = [
  { name: 'oracle', sizeBytes: 1 << 20, blockSizeBytes: 512, readonly: false, shared: false },
  { name: 'blocks', sizeBytes: 1 << 20, blockSizeBytes: 4096, readonly: true, shared: false },
  { name: 'common', sizeBytes: 1 << 20, blockSizeBytes: 512, readonly: false, shared: true },
] as const;
const TLS = { identity: 'big-2', psk: '5c'.repeat(32) };
const ENDING_ROUNDS = 60;

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => quiet };

class Scene {
  readonly clock = new FakeClock();
  readonly backends = new HeldBackends();
  readonly pools = { bodies: new MeasuringPool(BODY_MAX_BYTES), outputs: new CountingOutputPool() };
  readonly paths: { readonly link: MemoryLink; readonly client: HostileEnd; readonly isEncrypted: boolean }[] = [];
  readonly session: Session;
  private generation = 1;
  /** The epoch of the last grant. All volumes share this epoch. */
  private epoch = 1;
  private revoking = 0;
  private hasEnded = false;
  private readonly cuts = new SeededRandom(5);

  constructor() {
    this.session = new Session(Buffer.alloc(16), [AT], 1, {
      clock: this.clock,
      log: quiet,
      pools: this.pools,
      quietChanged: () => undefined,
      pathsChanged: (count) => expectThat(count <= PATHS_PER_TRUNK_MAX, `a session has ${count} paths`),
      clientEnds: (sentence) => this.end(sentence),
      look: () => Promise.resolve(true),
      lookAge: () => Promise.resolve(0),
      list: () => Promise.resolve({ generation: this.generation, interfaces: [AT], volumes: [] }),
      grant: ({ name, readonly }) => Promise.resolve(grantOf(name, readonly, this.epoch)),
      release: () => Promise.resolve(),
      admin: () => Promise.resolve({ answer: 0, totalBytes: 2, part: 'e30=' }),
      vote: () => Promise.resolve({ voted: 0, sentence: '', voter: null, promise: null, stored: null, replica: null }),
      settle: () => Promise.resolve({ isSettled: true }),
      lost: () => undefined,
      cut: () => undefined,
      waitsForSpace: () => undefined,
      throttled: () => undefined,
      held: () => undefined,
      askRecord: () => Promise.resolve(null),
      askNodes: () => Promise.resolve(null),
      askSnapshot: () => Promise.resolve(null),
      clone: () => Promise.resolve(null),
      openBackend: ({ name }) => Promise.resolve(this.backends.backend(VOLUMES.find((volume) => volume.name === name)!)),
    });
  }

  /** Adds a path. `isEncrypted`: whether the handshake has agreed on TLS. If TLS was agreed, the client of this target never begins TLS. */
  addPath(digest: boolean, dead: readonly number[], isEncrypted = false): void {
    if (this.paths.length === PATHS_MAX) return;
    const shape: LinkShape = { takeMs: () => 0, travelMs: () => 0, cut: (length) => this.cuts.int(1, length), restMs: () => 0 };
    const link = new MemoryLink(this.clock, shape);
    this.paths.push({ link, client: new HostileEnd(link.client, digest), isEncrypted });
    this.session.admit(link.server, {
      welcomeKey: '00',
      tls: isEncrypted ? TLS : null,
      transcript: '00',
      arrivedAt: AT,
      digest,
      mayRevoke: true,
      mayAdminister: true,
      mayVote: true,
      dead,
    });
  }

  async take({ kind, arg, bytes }: Step): Promise<void> {
    const path = this.paths[arg % Math.max(1, this.paths.length)];
    switch (kind % KINDS) {
      case KIND.BYTES:
        path?.client.send(bytes);
        break;
      case KIND.PATH:
        this.addPath((arg & 1) !== 0, [...bytes.subarray(0, 8)], (arg & 2) !== 0);
        break;
      case KIND.TIME:
        this.clock.advance(TIMES_MS[arg % TIMES_MS.length]!);
        break;
      case KIND.FINISH:
        this.backends.finish(1 + (arg % 16), STATUSES[(bytes[0] ?? 0) % STATUSES.length]!);
        break;
      case KIND.STAND:
        path?.link.stand('back', (bytes[0] ?? 0) % 2 === 0);
        break;
      case KIND.CLOSE:
        if (path !== undefined && !path.client.end.isClosed) path.client.end.destroy((bytes[0] ?? 0) % 2 === 0);
        break;
      case KIND.LIST:
        this.session.listChanged(arg % 2 === 0 ? [AT] : [], ++this.generation);
        break;
      case KIND.REVOKE:
        this.revoke(VOLUMES[arg % VOLUMES.length]!.name, (bytes[0] ?? 0) % 4);
        break;
      case KIND.SPEED:
        this.backends.isFast = arg % 2 === 0;
        break;
      default:
    }
    this.clock.advance(0);
    await nextTurn();
    this.judge();
  }

  /** Ends everything that the script has left open. Expects that no buffer, handle or request is left. */
  async finish(): Promise<void> {
    for (const { link } of this.paths) link.stand('back', false);
    this.end('The run is over');
    for (let round = 0; round < ENDING_ROUNDS && !(this.hasEnded && this.clock.timersPending === 0); round++) {
      this.backends.finish(Number.POSITIVE_INFINITY, STATUS.OK);
      this.clock.advance(1);
      await nextTurn();
    }
    expectThat(this.hasEnded, 'the session does not end');
    expectThat(this.revoking === 0, `${this.revoking} times a volume was revoked, and that does not end`);
    this.clock.advance(1000);
    expectThat(this.backends.open === 0, `${this.backends.open} backends are open after the end`);
    expectThat(this.pools.bodies.lent.size === 0, `${this.pools.bodies.lent.size} body buffers are lent after the end`);
    expectThat(this.pools.outputs.lent.size === 0, `${this.pools.outputs.lent.size} output buffers are lent after the end`);
    expectThat(this.clock.timersPending === 0, `${this.clock.timersPending} timers are set after the end`);
    this.judge();
  }

  get answered(): number {
    return this.paths.reduce((sum, { client }) => sum + client.count(OP.OPEN | ANSWER), 0);
  }

  /** Revokes the grants up to `back` epochs ago. The message of the listener may arrive twice. */
  private revoke(name: string, back: number): void {
    this.revoking++;
    void this.session.revoke(`id-${name}`, this.epoch++ - back).then(() => this.revoking--);
  }

  private end(sentence: string): void {
    void this.session.end('E_NO_SESSION', sentence).then(() => {
      this.hasEnded = true;
    });
  }

  private judge(): void {
    const { bodies, outputs } = this.pools;
    const mostBytes = WINDOW_BYTES + REREAD_MAX_BYTES + (1 + PATHS_MAX) * BODY_MAX_BYTES;
    expectThat(bodies.lentBytes <= mostBytes, `${bodies.lentBytes} bytes of bodies are lent`);
    const outputBytes = outputs.lent.size * OUTPUT_BUFFER_BYTES;
    const mostOutput = PATHS_MAX * (OUTPUT_HARD_MAX_BYTES + 2 * OUTPUT_BUFFER_BYTES);
    expectThat(outputBytes <= mostOutput, `${outputBytes} bytes of output are lent`);
    expectThat(this.backends.running <= 3 * SLOTS, `${this.backends.running} operations run`);
    for (const { client, isEncrypted } of this.paths) {
      expectThat(!isEncrypted || client.count(OP.WELCOME) === 0, 'WELCOME was sent in clear although TLS was agreed');
      const answers = [...client.heard].reduce((sum, [op, count]) => sum + ((op & ANSWER) === 0 ? 0 : count), 0);
      expectThat(answers <= client.sentBytes / 16, `${answers} answers to ${client.sentBytes} bytes`);
    }
  }
}

function grantOf(name: string, asReader: boolean, epoch: number): Grant {
  const known = VOLUMES.find((volume) => volume.name === name);
  if (known === undefined) return { granted: false, status: STATUS.UNKNOWN_VOLUME, sentence: 'There is no such volume', holders: [] };
  const volume = {
    ...known,
    universe: 0,
    id: `id-${name}`,
    type: 'memory',
    path: null,
    clients: null,
    takeOver: null,
    takeOverForce: false,
  } as const;
  return { granted: true, volume, readonly: asReader || known.readonly, identity: 'identity', incarnation: 'life', epoch };
}

async function run(input: Buffer): Promise<boolean> {
  const scene = new Scene();
  scene.addPath(false, []);
  for (const one of readScript(input)) await scene.take(one);
  await scene.finish();
  return scene.backends.begun > 1 && scene.answered > 0;
}

function make(random: SeededRandom): Buffer {
  const maker = new RequestMaker(random, [...VOLUMES.map(({ name }) => name), 'nothing']);
  const requests = (): Step => {
    if (random.chance(0.01)) return step(KIND.BYTES, 0, maker.storm());
    const frames = Array.from({ length: random.int(1, 6) }, () => maker.any());
    return step(KIND.BYTES, random.int(0, 2), Buffer.concat(frames));
  };
  const other = (): Step => {
    const rare = [KIND.PATH, KIND.TIME, KIND.STAND, KIND.CLOSE, KIND.LIST, KIND.SPEED, KIND.TURN];
    const kind = random.pick([...rare, KIND.FINISH, KIND.FINISH, KIND.REVOKE]);
    return step(kind, random.int(0, 15), random.bytes(random.int(0, 3)));
  };
  const one = (): Step => (random.chance(0.6) ? requests() : other());
  const opening = [step(KIND.BYTES, 0, Buffer.concat([maker.open('oracle'), maker.open()])), step(KIND.TURN), step(KIND.TURN)];
  const paths = Array.from({ length: random.int(0, 2) }, () => step(KIND.PATH));
  return mutatedScript(random, [...opening, ...paths, ...Array.from({ length: random.int(1, 12) }, one)], one);
}

export const serverSession: FuzzTarget = {
  name: 'server-session',
  deep: 'a volume was opened and used',
  fixedSeeds: 150,
  make,
  run,
  pieces: scriptPieces,
};
