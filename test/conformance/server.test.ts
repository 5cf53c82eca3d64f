// Runs the cases in which a client tests a server against a real rssrv. A well-behaved rsiod uses this rssrv at the same time, and its I/O
// must not be affected. The cases that wait for time-outs start first and run in parallel. Only this test checks the expected log lines,
// because `npm run conformance` cannot read the log of a server. Rules: G8 to G10.

import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { keyOf } from '../support/hosts/configs.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { NAMESPACEID, RAW_NODES, Scene } from '../support/scenes/scene.ts';
import { waitFor } from '../support/programs/wait-for.ts';
import type { ServerCase } from './base/case.ts';
import { lacks, runCase, runPatient } from './engine.ts';
import { SERVER_CASES } from './server-cases.ts';
import { RESTART_CASES } from './server/restart.ts';
import { Target, type TargetOptions } from './base/target.ts';

const NAMESPACE_KEY = '0xkey-of-the-whole-namespace';
const LOGGED_DEADLINE_MS = 5_000;

const hosts = useHosts('file');
let scene: Scene;
let target: Target;
const patient = new Map<ServerCase, Promise<unknown>>();

function optionsOf(): TargetOptions {
  let reloads = 0;
  return {
    ...scene.server,
    namespaceid: NAMESPACEID,
    serverkey: null,
    namespacekey: NAMESPACE_KEY,
    // The last node is left out, because the scene uses it for new clients.
    nodes: RAW_NODES.slice(0, 3).map((node) => ({ node, nodekey: keyOf(node) })),
    volumes: {
      plain: 'conform',
      constant: 'constant',
      blocks: 'blocks',
      foreign: 'oracle',
      shared: 'common',
      replica: 'replica',
    },
    isWitness: true,
    control: {
      reload: () => scene.reload(reloads++ % 2 === 0),
      restart: () => scene.restart(),
    },
  };
}

beforeAll(async () => {
  scene = await Scene.begin(hosts, `namespacekey = ${NAMESPACE_KEY}`, true);
  const options = optionsOf();
  target = new Target(options);
  for (const one of SERVER_CASES.filter(({ isPatient }) => isPatient)) {
    const run = runPatient(one, options);
    // Ignores a rejection here, because the test of this case awaits `run` and reports the failure.
    run.catch(() => undefined);
    patient.set(one, run);
  }
});

afterAll(async () => {
  await target.finish();
  await scene.servesNewcomers();
});

const RESTARTING = new Set(RESTART_CASES);

describe.each(SERVER_CASES.filter((one) => !RESTARTING.has(one)))('$id', (one) => {
  it(one.expects, async () => {
    expect(lacks(one, target)).toBe('');
    const before = scene.host.log('rssrv').length;
    await (patient.get(one) ?? runCase(one, target));
    if (one.log !== null) {
      const { log } = one;
      await waitFor(() => log.test(scene.host.log('rssrv').slice(before)), LOGGED_DEADLINE_MS, `The server's log says ${log}`);
    }
    await scene.wellBehaved();
  });
});

describe.each(RESTART_CASES)('$id', (one) => {
  it(one.expects, async () => {
    await runCase(one, target);
  });
});
