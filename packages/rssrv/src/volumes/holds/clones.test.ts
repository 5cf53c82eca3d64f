// Tests which clients the server admits when a client's machine was copied, and when a client sends an invented identity, before and after
// a restart (docs/PROTOCOL.md H4). The file of holds is real; the test simulates the sessions and the clock. Rules: G8.

import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Hello } from '@rsio/protocol/wire/messages';
import type { Log } from '@rsio/base/log/log';
import { RateLimitedLog } from '@rsio/base/log/rate-limited-log';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { type AdmissionPorts, Admissions } from '../../server/admissions.ts';
import { Sessions } from '../../server/sessions.ts';
import type { ServedSession } from '../../server/served-session.ts';
import type { KeyProven } from '../../server/unproven-limiter.ts';
import type { FromSession } from '../../session/channel/channel.ts';
import { Holds } from './holds.ts';
import type { WorkerSession } from '../../server/workers/worker-session.ts';
import { unhinderedPorts } from '../../testing/grant-ports.ts';
import { OPEN, QUIET, VOLUME } from '../../testing/contenders.ts';
import { AT } from '../../testing/raw-client.ts';
import { removeFolder } from '@rsio/base/testing/remove-folder';
import { NO_LEDGER } from '../../testing/no-ledgers.ts';

const LOG = { ...QUIET, debug: () => undefined } as unknown as Log;
const ORIGINAL = { node: 'big-2', instance: 6, machine: 'm', boot: 'b', process: 'p' };
const COPY = { ...ORIGINAL, boot: 'another-boot', process: 'q' };

interface OpenPlace extends WorkerSession {
  die(): void;
}

let folder = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'rsio-clones-'));
});
afterEach(() => removeFolder(folder));
const file = (): string => join(folder, 'holders.json');

class Scene {
  readonly clock = new FakeClock();
  readonly holders = new Holds(file(), () => 0, QUIET, NO_LEDGER);
  readonly said: string[] = [];
  readonly admissions: Admissions;

  constructor() {
    this.admissions = new Admissions({
      served: new Sessions(),
      clock: this.clock,
      log: LOG,
      limitedLog: new RateLimitedLog(this.clock, LOG),
      holds: this.holders,
      workers: { take: () => this.workerSession() },
      beginMessage: () => ({ type: 'end', code: '', sentence: '' }),
      isClient: () => true,
      bandwidth: { began: () => undefined },
      fences: { check: () => undefined },
      checkTls: () => undefined,
      sessionEnded: () => Promise.resolve(),
      refusals: {
        refuse: (_socket: Socket, _proven: unknown, error: Error & { code: string }) => this.said.push(`${error.code}: ${error.message}`),
      },
    } as unknown as AdmissionPorts);
  }

  static async started(): Promise<Scene> {
    const scene = new Scene();
    await scene.holders.load();
    return scene;
  }

  /** Performs the handshake of a client. Returns the process that the server then serves, or the refusal. */
  async come(client: Omit<Hello, 'versions' | 'features' | 'namespaceid' | 'interface' | 'nonce'>): Promise<string> {
    const { said, admissions } = this;
    const before = this.session;
    said.length = 0;
    const proven = { kind: 'new', hello: client, features: [], proof: { dead: [] }, sessionSecret: Buffer.alloc(32) };
    admissions.admit({ remoteAddress: '127.45.0.1' } as Socket, proven as unknown as KeyProven, AT);
    await expect
      .poll(() => said.some((line) => line.startsWith('E_')) || (this.session !== undefined && this.session !== before))
      .toBe(true);
    return said.find((line) => line.startsWith('E_')) ?? `serves ${this.session?.client.instance}`;
  }

  get session(): ServedSession | undefined {
    return this.admissions.sessions[0];
  }

  /** Sets the number of paths of the session. */
  paths(count: number): void {
    (this.session!.workerSession.onMessage as (message: FromSession) => void)({ type: 'paths', count });
  }

  async silence(): Promise<void> {
    this.paths(0);
    this.clock.advance(3_000);
  }

  /** Ends the client process while it has a session. */
  async died(): Promise<void> {
    (this.session!.workerSession as OpenPlace).die();
    await expect.poll(() => this.session).toBeUndefined();
  }

  private workerSession(): WorkerSession {
    let gone: (isClean: boolean) => void = () => undefined;
    const ended = new Promise<boolean>((resolve) => {
      gone = resolve;
    });
    const end = async (code: string): Promise<void> => {
      this.said.push(`told ${code}`);
      gone(true);
      await ended;
    };
    const die = (): void => gone(false);
    return {
      usable: Promise.resolve(),
      ended,
      isGone: false,
      pid: 1,
      blockedMs: null,
      send: () => undefined,
      kill: () => undefined,
      end,
      die,
    } as unknown as WorkerSession;
  }
}

describe("a copy of a client's machine is refused while the original is active", () => {
  test.each([
    ['started once more than the original', { ...COPY, instance: 7 }],
    ['started as often', COPY],
    ['started as often, in one boot as containers are', { ...COPY, boot: 'b' }],
    ['started later, after an update in a boot whose id begins alike', { ...COPY, boot: 'bb.1-2-3', instance: 7 }],
  ])('%s', async (_what, copy) => {
    const scene = await Scene.started();
    expect(await scene.come(ORIGINAL)).toBe('serves 6');
    expect(await scene.come(copy)).toMatch(/^E_OTHER_MACHINE: Node big-2 is in use from 127.45.0.1, by a copy .* rsconfig identity new/);
    expect(scene.session?.client).toMatchObject({ boot: 'b', process: 'p' });
    // The copy connects again while the original is still active.
    scene.clock.advance(60_000);
    expect(await scene.come(copy)).toContain('E_OTHER_MACHINE');
  });

  test('until the original was silent for 3 s; the replaced one is then refused for ever, over a restart too', async () => {
    const scene = await Scene.started();
    await scene.come(ORIGINAL);
    scene.paths(0);
    scene.clock.advance(2_999);
    expect(await scene.come(COPY)).toContain('E_OTHER_MACHINE');
    scene.clock.advance(1);
    expect(await scene.come(COPY)).toBe('serves 6');
    expect(scene.session?.client.process).toBe('q');
    expect(await scene.come(ORIGINAL)).toContain('E_REPLACED');
    const later = await Scene.started();
    expect(await later.come(ORIGINAL)).toContain('E_REPLACED');
    expect(await later.come(COPY)).toBe('serves 6');
  });

  test('when its process at the server has just died', async () => {
    const scene = await Scene.started();
    await scene.come(ORIGINAL);
    scene.paths(1);
    await scene.died();
    expect(await scene.come(COPY)).toContain('E_OTHER_MACHINE');
    expect(await scene.come(ORIGINAL)).toBe('serves 6');
  });

  test('when the server has just started, and the original holds a volume', async () => {
    const scene = await Scene.started();
    await scene.come(ORIGINAL);
    await scene.holders.grant('id', scene.session!.client, OPEN, unhinderedPorts(VOLUME));
    const later = await Scene.started();
    expect(await later.come({ ...COPY, instance: 7 })).toContain('E_OTHER_MACHINE');
    later.clock.advance(10_000);
    expect(await later.come({ ...COPY, instance: 7 })).toBe('serves 7');
  });
});

describe('the client itself reconnects at once', () => {
  test.each([
    ['the same process, with a new session', ORIGINAL],
    ['started again in the same boot', { ...ORIGINAL, instance: 7, process: 'q' }],
    [
      'started again after an update from a release that sent the boot id of the kernel alone',
      { ...ORIGINAL, boot: 'b.1-2-3', instance: 7, process: 'q' },
    ],
  ])('%s', async (_what, again) => {
    const scene = await Scene.started();
    await scene.come(ORIGINAL);
    expect(await scene.come(again)).toBe(`serves ${again.instance}`);
  });

  test('a client of the first builds, which sends no process', async () => {
    const scene = await Scene.started();
    const first = { ...ORIGINAL, process: null };
    await scene.come(first);
    expect(await scene.come(first)).toBe('serves 6');
    expect(await scene.come({ ...first, instance: 7 })).toBe('serves 7');
  });

  test('after a boot of its machine, when the old session is silent', async () => {
    const scene = await Scene.started();
    await scene.come(ORIGINAL);
    const booted = { ...ORIGINAL, boot: 'next-boot', instance: 7, process: 'q' };
    expect(await scene.come(booted)).toContain('E_OTHER_MACHINE');
    await scene.silence();
    expect(await scene.come(booted)).toBe('serves 7');
  });
});

test("an admitted copy does not resume the original's holds, nor the original those of the copy", async () => {
  const holders = new Holds(file(), () => 0, QUIET, NO_LEDGER);
  const [original, copy] = [ORIGINAL, COPY].map((client) => ({ ...client, address: '127.45.0.1' }));
  const open = (client: typeof original, resume: string | null) =>
    holders.grant('id', client!, { ...OPEN, resume }, unhinderedPorts(VOLUME));
  expect(await open(original, null)).toMatchObject({ granted: true, identity: 'id.1' });
  expect(await open(copy, 'id.1')).toMatchObject({ granted: false });
  expect(await open(copy, null)).toMatchObject({ granted: true, identity: 'id.2' });
  expect(await open(original, 'id.1')).toMatchObject({ granted: false });
});

describe("no claim of a client can prevent the server's next start", () => {
  test.each([0, 2 ** 53 - 2, 2 ** 53 - 1])('instance %d', async (instance) => {
    const hello = { ...ORIGINAL, instance, versions: [1], features: [], namespaceid: 0, interface: 'if0', nonce: Buffer.alloc(32) };
    let body: Buffer;
    try {
      body = Hello.encode(hello);
    } catch {
      return;
    }
    const scene = await Scene.started();
    await scene.come(Hello.decode(body, 0, body.length));
    await scene.silence();
    await scene.come({ ...COPY, machine: 'n' });
    await Scene.started();
  });

  test('a holds file with such claims from an earlier version is accepted', async () => {
    const content = { volumes: {}, instances: { 'big-2 m': 2 ** 53, 'big-2 n': 4 } };
    writeFileSync(file(), JSON.stringify({ version: 2, content }));
    const scene = await Scene.started();
    expect(await scene.come({ ...ORIGINAL, machine: 'n', instance: 3 })).toContain('E_REPLACED');
  });
});

describe('claims of a client do not make the holds file grow', () => {
  test('a thousand machines of one node', async () => {
    const scene = await Scene.started();
    for (let number = 0; number < 1000; number++) {
      await scene.holders.noteInstance({ ...ORIGINAL, machine: `${number}`.padStart(128, 'm'), address: '127.45.0.1' }, null);
    }
    expect(readFileSync(file()).length).toBeLessThan(10_000);
    expect((await Scene.started()).holders.isCurrent({ ...ORIGINAL, machine: '999'.padStart(128, 'm'), instance: 5, address: '' })).toBe(
      false,
    );
  });

  test('a node that is no longer a client is forgotten unless it has a hold', async () => {
    const scene = await Scene.started();
    await scene.come(ORIGINAL);
    await scene.holders.noteInstance({ ...ORIGINAL, node: 'mars', address: '127.45.0.2' }, null);
    await scene.holders.grant('id', scene.session!.client, OPEN, unhinderedPorts(VOLUME));
    scene.holders.keepNodes(['venus']);
    await scene.holders.noteInstance({ ...ORIGINAL, node: 'venus', address: '127.45.0.3' }, null);
    const { nodes } = (JSON.parse(readFileSync(file(), 'utf8')) as { content: { nodes: object } }).content;
    expect(Object.keys(nodes)).toEqual(['big-2', 'venus']);
  });
});
