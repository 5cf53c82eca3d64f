// Tests creating a mirror on scripted servers: the records and volumes after the command; a failure of each step at each server, before or
// after the server has executed the step; and a command that is repeated after a crash at any step. mirrors/voters.test.ts of rssrv tests
// the voter. Rules: G34.

import { RsError } from '@rsio/base/lib/errors';
import { describe, expect, test } from 'vitest';
import { type Failure, ScriptedServer } from '../../testing/mirror-servers.ts';
import { createMirror, type MirrorPlan } from './creation.ts';

const MIRROR = 'a'.repeat(32);
const GIB = 1024 ** 3;
const quiet = { info: () => undefined, warn: () => undefined };

class Scene {
  steps: string[] = [];
  fails: (step: string) => Failure | null = () => null;
  readonly servers: ScriptedServer[];
  readonly plan: MirrorPlan;
  private ids = 0;

  constructor() {
    const script = (step: string): Failure | null => {
      this.steps.push(step);
      return this.fails(step);
    };
    this.servers = ['big-9', 'big-8', 'pi-1'].map((name, index) => new ScriptedServer(name, index + 1, script));
    this.plan = {
      namespace: 'osl',
      nodename: 'big-2',
      name: 'db',
      universe: 0,
      mirror: MIRROR,
      sizeBytes: GIB,
      blockSizeBytes: 512,
      pool: null,
      pools: new Map(),
      request: 'id-1',
      replicas: this.servers.slice(0, 2),
      voters: this.servers,
      kept: null,
    };
  }

  create() {
    return createMirror(this.plan, () => `id-undo-${++this.ids}`, quiet);
  }

  /** Throws unless the mirror is complete and all servers have the same configuration. */
  check(): void {
    const [first, ...others] = this.servers.map(({ records }) => records.get(MIRROR)?.stored?.config);
    expect(first).toMatchObject({ k: 1, clean: true, sizeBytes: GIB, nextVoters: null, clients: null });
    for (const other of others) expect(other).toEqual(first);
    expect(first?.voters.map(({ voter }) => voter)).toEqual(this.servers.map(({ records }) => records.get(MIRROR)?.voter));
    const marks = this.plan.replicas.map((server) => (server as ScriptedServer).stock.get('db@0')?.mark?.identity);
    expect(first?.members.map(({ identity }) => identity)).toEqual(marks);
    expect(first?.inSync).toEqual(marks);
  }
}

async function refused(work: Promise<unknown>): Promise<RsError> {
  const error = await work.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  if (error instanceof RsError) return error;
  throw new Error('The command succeeded');
}

test('a mirror is a volume on each server, a record at each voter, and one clean configuration at all of them', async () => {
  const scene = new Scene();
  const config = await scene.create();
  scene.check();
  expect(config.members).toMatchObject([
    { serverid: 1, volume: 'db', universe: 0 },
    { serverid: 2, volume: 'db', universe: 0 },
  ]);
  expect(scene.servers[2]?.stock.size).toBe(0);
  const order = (what: string): number => scene.steps.findLastIndex((step) => step.endsWith(what));
  const orders = ['found', 'volume-create', 'claim', 'place', 'config'].map(order);
  expect(orders).toEqual(orders.toSorted((a, b) => a - b));
});

const MADE = await (async () => {
  const scene = new Scene();
  await scene.create();
  return scene.steps;
})();

describe.each(MADE)('%s fails', (failing) => {
  test.each<Failure>(['refused', 'lost'])('%s: nothing is left, or it is named', async (failure) => {
    const scene = new Scene();
    let isOver = false;
    scene.fails = (step) => {
      if (isOver || step !== failing) return null;
      isOver = true;
      return failure;
    };
    const error = await refused(scene.create());
    expect(error.message).toContain('Mirror osl:db@0 was not made: ');
    const left = scene.servers.flatMap((server) => server.left);
    const isUnsure = failing.endsWith('volume-create') && failure === 'lost';
    expect(left).toEqual(isUnsure ? ['volume db@0'] : []);
    expect(
      scene.servers.flatMap(({ removed }) => [...removed]),
      'volume restore would bring back an empty db',
    ).toEqual([]);
    expect(error.message).toContain(
      isUnsure ? `rsconfig volume remove osl:db@0 --server ${failing.split(' ')[0]}` : 'nothing of it is left',
    );
  });

  test.each<Failure>(['refused', 'lost'])('%s, and with it everything after it: the same command makes the mirror', async (failure) => {
    const scene = new Scene();
    let hasStopped = false;
    scene.fails = (step) => {
      const now: Failure | null = hasStopped ? 'refused' : step === failing ? failure : null;
      hasStopped ||= step === failing;
      return now;
    };
    await refused(scene.create());
    scene.fails = () => null;
    // The command is repeated by the next rsiod process, which has another instance number.
    for (const server of scene.servers) server.client = { node: 'big-2', instance: 2 };
    await scene.create();
    scene.check();
  });

  test('and so does each removal: what is left is named with its remedy', async () => {
    const scene = new Scene();
    let hasFailed = false;
    scene.fails = (step) => {
      hasFailed ||= step === failing;
      return hasFailed ? 'refused' : null;
    };
    const { message } = await refused(scene.create());
    for (const server of scene.servers)
      for (const thing of server.left) {
        const remedies = [`rsconfig volume remove osl:db@0 --server ${server.name}`, `server ${server.name} may still have a replica`];
        if (thing === 'record') remedies.push(`server ${server.name} may have a record`);
        expect(remedies.filter((one) => message.includes(one))).not.toEqual([]);
      }
  });
});

test('a volume that can only be removed is named, with the command that deletes it', async () => {
  const scene = new Scene();
  scene.fails = (step) => (['big-9 claim', 'big-8 volume-purge'].includes(step) ? 'refused' : null);
  const { message } = await refused(scene.create());
  expect(message).toMatch(
    /server big-8 keeps the removed volume osl:db@0 for a day .*: rsconfig volume purge osl:db@0 --server big-8 deletes it/,
  );
});

test('each server makes its volume in the pool that is named for it, and the others in the common one', async () => {
  const scene = new Scene();
  const pools = new Map<string, unknown>();
  for (const server of scene.servers) {
    const callAdmin = server.callAdmin.bind(server);
    server.callAdmin = async (method, params) => {
      pools.set(server.name, (params as { pool?: unknown }).pool);
      return await callAdmin(method, params);
    };
  }
  await createMirror({ ...scene.plan, pool: 'fast', pools: new Map([['big-8', 'p2']]) }, () => 'id', {
    info: () => undefined,
    warn: () => undefined,
  });
  expect([...pools]).toEqual([
    ['big-9', 'fast'],
    ['big-8', 'p2'],
  ]);
});

test('a server that refuses to vote refuses before any server has made a volume', async () => {
  const scene = new Scene();
  scene.servers[2]!.mayFound = false;
  await refused(scene.create());
  expect(scene.steps.filter((step) => step.endsWith('volume-create'))).toEqual([]);
});

test('a volume that exists is no volume of this command, and stays', async () => {
  const scene = new Scene();
  await scene.servers[1]?.callAdmin('volume-create', { name: 'db', universe: 0, sizeBytes: 1, request: 'of-another' });
  const error = await refused(scene.create());
  expect(error).toMatchObject({ code: 'E_EXISTS', message: expect.stringContaining('Server big-8: Volume db@0 exists') as string });
  expect(scene.servers.map((server) => server.left)).toEqual([[], ['volume db@0'], []]);
});

test('a witness that refuses is named', async () => {
  const scene = new Scene();
  scene.servers[2]!.mayFound = false;
  const error = await refused(scene.create());
  expect(error).toMatchObject({ code: 'E_VOLUME', message: expect.stringContaining('Server pi-1: This server is no witness') as string });
  expect(scene.servers.map((server) => server.left)).toEqual([[], [], []]);
});

test('a server that is not connected is named, and the others keep nothing', async () => {
  const scene = new Scene();
  scene.servers[1]!.trouble = new RsError('E_NO_PATH', 'Server big-8 of osl is not connected');
  expect(await refused(scene.create())).toMatchObject({ code: 'E_NO_PATH' });
  expect(scene.servers.map((server) => server.left)).toEqual([[], [], []]);
});

test('a mirror that another client has attached is neither marked again nor taken back', async () => {
  const scene = new Scene();
  await scene.create();
  const before = scene.servers.map(({ records }) => records.get(MIRROR)?.stored?.config.members);
  for (const server of scene.servers) {
    const record = server.records.get(MIRROR)!;
    const term = { number: 2, node: 'big-6', instance: 1 };
    record.promise = term;
    record.stored = { term, config: { ...record.stored!.config, clean: false } };
  }
  const error = await refused(scene.create());
  expect(error).toMatchObject({ code: 'E_EXISTS', message: expect.stringContaining('client big-6 has it already') as string });
  expect(scene.servers.map(({ records }) => records.get(MIRROR)?.stored?.config.members)).toEqual(before);
});

test('a client that claims the mirror before the last voter has answered keeps all of it', async () => {
  const scene = new Scene();
  scene.fails = (step) => {
    if (step !== 'pi-1 config') return null;
    const term = { number: 9, node: 'big-6', instance: 1 };
    for (const { records } of scene.servers) records.get(MIRROR)!.promise = term;
    return 'refused';
  };
  const { message } = await refused(scene.create());
  expect(message).toContain('another client has claimed the mirror');
  expect(scene.servers.map((server) => server.left)).toEqual([
    ['volume db@0', 'mark', 'record'],
    ['volume db@0', 'mark', 'record'],
    ['record'],
  ]);
});

const OLD = { sizeBytes: GIB, request: 'of-long-ago', mark: null };

function conversion(): Scene {
  const scene = new Scene();
  const [kept] = scene.servers;
  kept!.stock.set('db@0', { ...OLD });
  return Object.assign(scene, { plan: { ...scene.plan, kept: kept! } });
}

const STEPS = await (async () => {
  const scene = conversion();
  await scene.create();
  return scene.steps;
})();

describe('of a volume that is there', () => {
  test('the volume alone is in sync, and it is not made again', async () => {
    const scene = conversion();
    const config = await scene.create();
    expect(scene.steps).not.toContain('big-9 volume-create');
    expect(scene.servers[0]?.stock.get('db@0')).toEqual({ ...OLD, mark: { mirror: MIRROR, identity: config.inSync[0] } });
    expect(config).toMatchObject({ clean: true, inSync: [config.members[0]?.identity], members: [{ serverid: 1 }, { serverid: 2 }] });
  });

  test.each(STEPS.flatMap((step) => [[step, 'refused'] as const, [step, 'lost'] as const]))(
    '%s fails (%s): the volume is as it was',
    async (failing, failure) => {
      const scene = conversion();
      let isOver = false;
      scene.fails = (step) => {
        if (isOver || step !== failing) return null;
        isOver = true;
        return failure;
      };
      const { message } = await refused(scene.create());
      expect(scene.servers[0]?.stock.get('db@0')).toEqual(OLD);
      const isUnsure = failing.endsWith('volume-create') && failure === 'lost';
      expect(scene.servers.slice(1).flatMap(({ left }) => left)).toEqual(isUnsure ? ['volume db@0'] : []);
      if (!isUnsure) expect(message).toContain('the volume on server big-9 is as it was');
    },
  );

  test.each(STEPS)('%s fails, and so does everything after it: no remedy removes the volume', async (failing) => {
    const scene = conversion();
    let hasFailed = false;
    scene.fails = (step) => {
      hasFailed ||= step === failing;
      return hasFailed ? 'refused' : null;
    };
    const { message } = await refused(scene.create());
    expect(scene.servers[0]?.stock.get('db@0')).toMatchObject({ sizeBytes: GIB, request: 'of-long-ago' });
    expect(message).not.toContain('rsconfig volume remove osl:db@0 --server big-9');
    expect(message).not.toMatch(/big-9 [^;]*--volumes/);
    if (scene.servers[0]?.stock.get('db@0')?.mark !== null) expect(message).toContain('rsadm volume split');
    scene.fails = () => null;
    await scene.create();
    expect(scene.servers[0]?.stock.get('db@0')?.request).toBe('of-long-ago');
  });
});
