// The output of a server process: messages to the listener, and lines of its log. Oracle: a message is refused like a wrong frame, or the
// accepted value can be encoded and is then accepted again. No accepted message names a volume that the session never had. No line of the
// log forges a field, another line or another process. Rules: G24.

import type { Log } from '@rsio/base/log/log';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { VolumeUses } from '@rsio/rssrv/volumes/holds/volume-uses';
import { SessionGuard } from '@rsio/rssrv/session/channel/session-guard';
import { parsedMessage } from '@rsio/rssrv/session/channel/channel';
import { workerRecord } from '@rsio/rssrv/session/channel/worker-lines';
import { expectPrintable, expectThat, type FuzzTarget, orRefused } from '../../fixtures/fuzz-target.ts';
import { mutated } from '../../makers/mutator.ts';

// lines: messages, and records of the log
const ID = '0f'.repeat(16);
const OWN = 'own';
const VOLUMES = [OWN, 'of-another', '', 'v'.repeat(200), null];
const LEVELS: readonly (keyof Log)[] = ['debug', 'info', 'warn', 'error'];
/** Fields of a log line that only the listener may write. */
const RESERVED = ['pid', 'time', 'node', 'level', 'msg', 'event', 'audit', 'by', 'method'];

function message(random: SeededRandom): object {
  const volumeId = random.chance(0.6) ? OWN : random.pick(VOLUMES);
  const number = random.chance(0.8) ? random.int(0, 9) : random.pick([-1, 2 ** 53, 0.5, null, 'x']);
  const ask = (request: object): object => ({ type: 'ask', number, request });
  return random.pick<() => object>([
    () => ({ type: random.pick(['lost', 'cut']), volumeId }),
    () => ({ type: 'space', volumeId, isWaiting: random.chance(0.5), poolId: null }),
    () => ({ type: random.pick(['held', 'paths', 'revoked']), number, count: number, isFlushed: true }),
    () => ({
      type: 'throttled',
      report: { what: 'used', overMs: 5, volumes: [{ volumeId, requests: number, bytes: 0, isHungry: false }] },
    }),
    () => ({ type: 'throttled', report: { what: 'in-force', volumeId, number } }),
    () => ({
      type: 'figures',
      figures: { volumes: [], paths: [], opens: [{ name: 'db', universe: number, waitedMs: 1 }] },
    }),
    () => ask({ what: 'grant', request: { name: random.pick(['db', 'db@monday', '..', 'a/b']), universe: number, readonly: true } }),
    () => ask({ what: 'admin-call', id: 'r', method: random.pick(['pools', 'x y']), params: '{}', withinMs: number }),
    () => ask({ what: 'vote', vote: random.pick(['claim', 'found']), mirror: ID, number, takesOver: true, name: 'm', universe: 0 }),
    () => ask({ what: 'clone', number, volumeId, from: number, to: number }),
    () => ({ type: 'ended' }),
  ])();
}

function record(random: SeededRandom): object {
  return {
    level: random.pick([...LEVELS, 'fatal', 7]),
    msg: random.pick(['text', 'two\nlines', '\u001b[2J', null]),
    ...(random.chance(0.5) ? { path: random.pick(['6-if0-rx0', '\u202ex', 5]) } : {}),
    ...Object.fromEntries(RESERVED.filter(() => random.chance(0.3)).map((name) => [name, random.pick([1, 'root', true, {}])])),
    volume: random.pick(['db', 'd\nb', {}]),
  };
}

function namesOf(text: string): string[] {
  return [...text.matchAll(/"volumeId":"([^"]*)"/g)].map(([, name = '']) => name);
}

function hear(line: string, guard: SessionGuard): boolean {
  const heard = orRefused(['E_PROTOCOL'], () => parsedMessage(line));
  if (heard === null) return false;
  const again = JSON.stringify(heard);
  expectThat(JSON.stringify(parsedMessage(again)) === again, 'a message that was taken does not pass again');
  if (heard.type !== 'session') return true;
  const { message: said } = heard;
  const isAdmitted = orRefused(['E_PROTOCOL'], () => guard.admits(said)) === true;
  if (isAdmitted && said.type !== 'ask')
    expectThat(
      namesOf(again).every((name) => name === OWN),
      'a session names a volume of another',
    );
  return isAdmitted;
}

function log(line: string): boolean {
  const { level, text, path, fields } = workerRecord(line);
  expectThat(LEVELS.includes(level), 'a record has a level that is none');
  expectPrintable(text, 'the text of a record');
  if (path !== null) expectPrintable(path, 'the path of a record');
  if (fields.volume !== undefined) expectPrintable(fields.volume, 'the volume of a record');
  expectThat(!RESERVED.some((name) => Object.hasOwn(fields, name)), 'a record has a field of the listener');
  return path !== null;
}

export const workerChannel: FuzzTarget = {
  name: 'worker-channel',
  deep: 'a message that is admitted',
  fixedSeeds: 200,
  make(random) {
    const lines = Array.from({ length: random.int(1, 6) }, () =>
      random.chance(0.7) ? { type: 'session', session: ID, message: message(random) } : record(random),
    );
    const bytes = Buffer.from(lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    return random.chance(0.4) ? bytes : mutated(random, bytes);
  },
  run(input) {
    const uses = new VolumeUses();
    uses.add(OWN);
    const guard = new SessionGuard(uses);
    let isDeep = false;
    for (const line of input.toString('utf8').split('\n')) {
      if (hear(line, guard)) isDeep = true;
      log(line);
    }
    return isDeep;
  },
};
