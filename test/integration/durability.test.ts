// With real processes, no acknowledged write is lost if the server is killed, is replaced by another build or crashes with its machine, or
// if its storage fails. fio verifies the data, and at the end the test checks every sector. Each case runs twice; `npm run drill -- restarts` runs
// many more. Rules: G4, G5.

import { expect, it } from 'vitest';
import { OtherBuild } from '../support/drills/other-build.ts';
import { type DrillResult, Stage } from '../support/drills/restart-drill.ts';
import { crashUnflushed, failFlushes, FORGETFUL, kill, replace } from '../support/drills/restart-kinds.ts';
import { useHosts } from '../support/hosts/hosts.ts';
import { needFio } from '../support/programs/programs.ts';
import { report } from '../support/programs/report.ts';

/** Options of a case in which the server returns as soon as the client reports that it waits. */
const SOON = { downMs: 0 };
const BOTH_FLUSH = { fioFlushes: true, judgeFlushes: true };
/** Seeds of two crashes. One crash keeps a part of the unsynced data, and the other crash loses all of it. */
const CRASHES = [4, 7] as const;

/** Time limit of one test on a slow and busy machine. */
const PATIENT = { timeout: 300_000 };

const hosts = useHosts();

function expectAllThere(what: string, { outages, breaches, judgedIos, fioReadBack, replays, flushErrors }: DrillResult): void {
  expect(breaches).toEqual([]);
  expect(judgedIos).toBeGreaterThan(0);
  expect(fioReadBack).toBeGreaterThan(0);
  const afterUp = outages.map(({ afterUpMs }) => afterUpMs.toFixed(0)).join(' ');
  report(what, { 'ms from up to the first I/O': afterUp, judgedIos, fioReadBack, replays, flushErrors });
}

it('a server that is killed or replaced by another build causes no I/O error and loses no acknowledged write', PATIENT, async (context) => {
  needFio(context);
  const stage = await Stage.set(hosts, { ...BOTH_FLUSH, ...SOON });
  const build = OtherBuild.make(hosts);
  await kill(stage);
  await replace(stage, build, 'SIGTERM');
  await kill(stage);
  await replace(stage, build, 'SIGKILL');
  expectAllThere('rssrv killed and replaced', await stage.end());
});

it('after a crash of the server machine the client sends unflushed writes again', PATIENT, async (context) => {
  needFio(context);
  const stage = await Stage.set(hosts, { faults: FORGETFUL, ...BOTH_FLUSH, ...SOON });
  for (const seed of CRASHES) await crashUnflushed(stage, seed);
  const result = await stage.end();
  expect(result.replays).toBeGreaterThanOrEqual(CRASHES.length);
  expectAllThere('crash of the server machine', result);
});

it.for([true, false])(
  'storage that fails to flush, whoever asks for it (%s: its user), and then crashes: the same',
  async (judgeFlushes, context) => {
    needFio(context);
    const stage = await Stage.set(hosts, { faults: FORGETFUL, fioFlushes: false, judgeFlushes, ...SOON });
    await failFlushes(stage);
    await crashUnflushed(stage, CRASHES[1]);
    const result = await stage.end();
    expect(result.flushErrors > 0).toBe(judgeFlushes);
    expect(result.replays).toBeGreaterThanOrEqual(2);
    expectAllThere(`failed flushes, ${judgeFlushes ? 'asked for' : 'of the server itself'}`, result);
  },
);
