// Tests which paths are measured and how, and why other paths are not measured. The measurement itself is a fake. Real connections are
// measured in test/integration/probe-connection.test.ts.

import { RsError } from '@rsio/base/lib/errors';
import type { ProbeCandidate, ProbeExpectation, ProbeLogin, ProbePorts, ProbeReport } from '@rsio/protocol/explorer/probe-report';
import { PROBES_TIME_MAX_MS } from './limits.ts';
import { FakeClock } from '@rsio/base/testing/fake-clock';
import { MemoryNetwork } from '@rsio/protocol/testing/memory-network';
import { IDEAL_LINK } from '@rsio/protocol/testing/memory-transport';
import { SeededRandom } from '@rsio/base/testing/seeded-random';
import { describe, expect, test } from 'vitest';
import { type Probe, PathProbes, type ProbedNamespace } from './path-probes.ts';

interface Call {
  readonly candidate: ProbeCandidate;
  readonly login: ProbeLogin | null;
  readonly expected: ProbeExpectation;
}

function namespace(name: string, changes: Partial<ProbedNamespace> = {}): ProbedNamespace {
  const local = (index: number) => ({ name: `if${index}`, address: `10.0.${index}.1`, prefixLength: 24, portGiven: null });
  const remote = (index: number) => ({
    name: `${name}-${index}`,
    address: `10.0.${index}.9`,
    serverkey: `k${index}`,
    position: index,
    serverid: null,
  });
  return {
    config: { namespaceid: 200, nodename: 'big-2', nodekey: 'secret', namespacekey: `key of ${name}`, tls: false },
    routes: [1, 2].map((index) => ({ local: local(index), remote: remote(index), port: 5000, server: { serverid: 7 } })),
    leftOut: [{ name: `${name}-3`, address: '10.0.3.9', port: null, position: 3, reason: 'too far' }],
    ...changes,
  };
}

function report(candidate: ProbeCandidate, changes: Partial<ProbeReport> = {}): ProbeReport {
  return {
    candidate,
    failure: null,
    failureCode: null,
    connectMs: 1,
    handshakeMs: 2,
    server: null,
    roundTripMs: 3,
    readBytesPerSecond: 4,
    writeBytesPerSecond: 5,
    mtuBytes: 6,
    cipher: null,
    device: 'eth0',
    leavesBy: 'eth1',
    arrivesBy: null,
    findings: [{ kind: 'wrong-device', object: 'x', count: 1, sentence: 'It leaves by eth1', remedy: 'mend it' }],
    ...changes,
  };
}

class Scene {
  readonly clock = new FakeClock();
  readonly calls: Call[] = [];
  readonly keys: (string | null)[] = [];
  readonly probes: PathProbes;

  constructor(namespaces: readonly ProbedNamespace[], answer: (call: Call) => Partial<ProbeReport> = () => ({})) {
    const probe: Probe = (candidate, login, expected, { namespacekey }) => {
      this.keys.push(namespacekey);
      this.calls.push({ candidate, login, expected });
      return Promise.resolve(report(candidate, answer({ candidate, login, expected })));
    };
    const probePorts = (namespacekey: string | null): ProbePorts => ({
      connector: new MemoryNetwork(this.clock, IDEAL_LINK, () => undefined),
      clock: this.clock,
      random: new SeededRandom(1).bytes,
      sockets: null,
      namespacekey,
      machine: [],
      counters: () => new Map(),
    });
    this.probes = new PathProbes({ namespaces: { list: namespaces }, probePorts, probe });
  }

  get measured(): string[] {
    return this.calls.map(({ candidate }) => `${candidate.local.name} ${candidate.remote.name}`);
  }
}

const ALL = { interface: null, remote: null };

test('all paths of all namespaces are probed with their login data, and a skipped pair has a reason', async () => {
  const scene = new Scene([namespace('osl'), namespace('lab')]);
  const { paths, leftOut } = await scene.probes.measure(ALL);
  expect(scene.measured).toEqual(['if1 osl-1', 'if2 osl-2', 'if1 lab-1', 'if2 lab-2']);
  expect(scene.calls[1]).toMatchObject({
    login: { nodename: 'big-2', nodekey: 'secret', serverkey: 'k2' },
    expected: { namespaceid: 200, serverid: 7 },
    candidate: { remote: { address: '10.0.2.9', port: 5000 } },
  });
  expect(scene.keys).toEqual(['key of osl', 'key of osl', 'key of lab', 'key of lab']);
  expect(leftOut.map(({ section, reason }) => `${section}: ${reason}`)).toEqual(['osl-3: too far', 'lab-3: too far']);
  expect(paths[0]).toEqual({
    interface: 'if1',
    localAddress: '10.0.1.1',
    section: 'osl-1',
    address: '10.0.1.9',
    port: 5000,
    reachMs: 1,
    handshakeMs: 2,
    server: null,
    serverid: null,
    roundTripMs: 3,
    sendBytesPerSecond: 5,
    receiveBytesPerSecond: 4,
    mtuBytes: 6,
    device: 'eth0',
    leavesBy: 'eth1',
    error: null,
    remarks: ['It leaves by eth1: mend it'],
  });
});

describe('a probe of one name or address', () => {
  test.each([
    [{ interface: 'if1', remote: null }, ['if1 osl-1']],
    [{ interface: '10.0.2.1', remote: null }, ['if2 osl-2']],
    [{ interface: null, remote: 'osl-2' }, ['if2 osl-2']],
    [{ interface: 'if2', remote: '10.0.2.9' }, ['if2 osl-2']],
  ])('%o', async (asked, measured) => {
    const scene = new Scene([namespace('osl')]);
    await scene.probes.measure(asked);
    expect(scene.measured).toEqual(measured);
  });

  test('gives a reason for each skipped path, and fails for an unknown one', async () => {
    const scene = new Scene([namespace('osl')]);
    expect(await scene.probes.measure({ interface: null, remote: 'osl-3' })).toEqual({
      paths: [],
      leftOut: [{ interface: null, section: 'osl-3', address: '10.0.3.9', reason: 'too far' }],
    });
    await expect(scene.probes.measure({ interface: 'if1', remote: 'osl-2' })).rejects.toMatchObject({
      code: 'E_USAGE',
      message: 'No path is from if1 to osl-2: rsconfig -m status lists the paths',
    });
  });
});

test('the refusals of a key are remembered for the servers of its namespace, and each server is asked', async () => {
  const scene = new Scene([namespace('osl'), namespace('lab')], ({ login, candidate }) => {
    if (candidate.remote.name !== 'osl-1') return {};
    login?.refusals?.set('instance', new RsError('E_AUTH', 'wrong key'));
    return { failure: 'wrong key', failureCode: 'E_AUTH' };
  });
  const { paths } = await scene.probes.measure(ALL);
  expect(scene.calls.map(({ login }) => [...(login?.refusals?.keys() ?? [])])).toEqual([['instance'], ['instance'], [], []]);
  expect(paths.map(({ error }) => error?.code ?? null)).toEqual(['E_AUTH', null, null, null]);
});

test('skips the remaining paths when its time is over, and a second request is told to wait', async () => {
  const scene = new Scene([namespace('osl')], () => {
    scene.clock.advance(PROBES_TIME_MAX_MS);
    return {};
  });
  const first = scene.probes.measure(ALL);
  await expect(scene.probes.measure(ALL)).rejects.toMatchObject({ code: 'E_LIMIT' });
  const { paths, leftOut } = await first;
  expect([paths.length, leftOut[0]?.reason]).toEqual([1, 'not measured within 40 s: probe it alone']);
  expect((await scene.probes.measure({ interface: 'if2', remote: null })).paths).toHaveLength(1);
});
