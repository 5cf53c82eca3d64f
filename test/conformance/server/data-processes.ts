// Cases about a client with several data processes: concurrent sessions, which of them a new session ends (S9), and volumes that move
// between data processes (H1). Invariant: at the end of each case, the second node holds nothing.

import { randomUUID } from 'node:crypto';
import { FEATURE } from '@rsio/protocol/wire/features';
import { DATA_PROCESSES_MAX } from '@rsio/protocol/wire/limits';
import { OP } from '@rsio/protocol/wire/frames';
import { Farewell, OpenAnswer, OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { VOTED } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import { RawClient } from '../../support/peers/raw-peer.ts';
import { waitFor } from '../../support/programs/wait-for.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, byes, equals, failed, holds, refusedWith } from '../base/check.ts';
import { BLOCK, filled, SCRATCH, type Target } from '../base/target.ts';
import { config, Mirror } from './mirror/raw-mirror.ts';
import { greet } from './handshake/handshake-steps.ts';

const TWO = { needs: ['second node'] } as const;
const MOVED_DEADLINE_MS = 20_000;

/** Begins the session of a data process of the second node. `process`: the token of the client process, if the case needs one. */
async function begins(
  target: Target,
  dataProcess: number,
  process: string | null = null,
  features: readonly string[] = [],
): Promise<RawClient> {
  const identity = target.identity(1, { process, dataProcess, features });
  return target.keep(await RawClient.begin(target.place(), identity));
}

function asking(target: Target, changes: Partial<OpenRequest> = {}): { readonly op: number; readonly body: Buffer } {
  return { op: OP.OPEN, body: OpenRequest.encode({ name: target.options.volumes.plain, universe: 0, readonly: false, ...changes }) };
}

async function gets(target: Target, path: RawClient, changes: Partial<OpenRequest> = {}): Promise<OpenAnswer> {
  const { body } = await answered(path, asking(target, changes));
  return OpenAnswer.decode(body, 0, body.length);
}

async function closes(path: RawClient, handle: number): Promise<void> {
  await answered(path, { op: OP.CLOSE, handle });
}

async function leaves(path: RawClient): Promise<void> {
  path.request({ op: OP.BYE, body: Farewell.encode({ code: 'E_SHUTTING_DOWN', sentence: 'The data process ends' }) });
  await path.ended();
}

export const DATA_PROCESS_CASES: readonly ServerCase[] = [
  serverCase(
    'data-processes.feature',
    'Data processes',
    'The server agrees to data-processes if HELLO offers it, also if HELLO is that of the main process',
    async (target) => {
      for (const changes of [{ dataProcess: DATA_PROCESSES_MAX }, {}]) {
        const { challenge } = await greet(target, { features: [FEATURE.DATA_PROCESSES], ...changes });
        equals('The features', challenge.features, [FEATURE.DATA_PROCESSES]);
      }
    },
  ),
  serverCase(
    'data-processes.side-by-side',
    'Data processes',
    'Two data processes of a client have sessions side by side, and each uses its own handles',
    async (target) => {
      await target.release();
      const [main, second] = [await begins(target, 0), await begins(target, 1)];
      holds(!Buffer.from(main.session.session).equals(second.session.session), 'Both have the same session');
      const { handle } = await gets(target, second);
      await answered(second, { op: OP.WRITE, handle, lba: SCRATCH, count: BLOCK, body: filled(BLOCK, 0x61) });
      await answered(main, { op: OP.READ, handle, lba: SCRATCH, count: BLOCK }, 'STALE');
      const more = target.keep(await RawClient.login(target.place(), second.identity, second));
      more.homeSlot = 1;
      const { body } = await answered(more, { op: OP.READ, handle, lba: SCRATCH, count: BLOCK });
      equals('What is there', body[0], 0x61);
      await closes(second, handle);
      await main.call({ op: OP.LIST });
    },
    TWO,
  ),
  serverCase(
    'data-processes.replaced-alone',
    'S9',
    'A new session of a data process ends the old session of this data process with E_NO_SESSION, and no other session of the client',
    async (target) => {
      await target.release();
      const [main, second] = [await begins(target, 0), await begins(target, 1)];
      const { handle } = await gets(target, main);
      const again = await begins(target, 1);
      await byes(second, 'E_NO_SESSION');
      await answered(main, { op: OP.READ, handle, lba: SCRATCH, count: BLOCK });
      await again.call({ op: OP.LIST });
      await closes(main, handle);
    },
    TWO,
  ),
  serverCase(
    'data-processes.newer-instance',
    'S9',
    'A newer instance of the client ends the sessions of all data processes of the older one with E_REPLACED, whichever of its own comes first',
    async (target) => {
      const [main, second] = [await begins(target, 0), await begins(target, 1)];
      target.newInstance(1);
      const newer = await begins(target, 2);
      for (const old of [main, second]) await byes(old, 'E_REPLACED');
      await newer.call({ op: OP.LIST });
      for (const old of [main, second]) await refusedWith('E_REPLACED', RawClient.login(target.place(), old.identity));
    },
    TWO,
  ),
  serverCase(
    'data-processes.other-process',
    'H4',
    'A data process of another process of the same instance is refused with E_OTHER_MACHINE while any session of the client has a path',
    async (target) => {
      target.newInstance(1);
      const process = randomUUID();
      const [main, second] = [await begins(target, 0, process), await begins(target, 1, process)];
      await leaves(main);
      const copy = target.identity(1, { process: randomUUID(), dataProcess: 2 });
      await refusedWith('E_OTHER_MACHINE', RawClient.login(target.place(), copy));
      await second.call({ op: OP.LIST });
      target.newInstance(1);
    },
    TWO,
  ),
  serverCase(
    'data-processes.open-beside',
    'Data processes',
    'OPEN of a volume that another data process has open is BESIDE whatever it asks for, changes nothing, and is granted after the CLOSE',
    async (target) => {
      await target.release();
      const [main, second] = [await begins(target, 0), await begins(target, 3)];
      const mine = await gets(target, second);
      for (const changes of [{}, { readonly: true }, { take: TAKE.OVER }, { take: TAKE.FORCE }, { resume: mine.identity }]) {
        const sentence = await failed(main, asking(target, changes), 'BESIDE');
        holds(sentence.includes('data process 3'), `The refusal does not name the data process: ${sentence}`);
      }
      await answered(second, { op: OP.WRITE, handle: mine.handle, lba: SCRATCH, count: BLOCK, body: filled(BLOCK, 0x62) });
      await closes(second, mine.handle);
      const moved = await gets(target, main);
      const { body } = await answered(main, { op: OP.READ, handle: moved.handle, lba: SCRATCH, count: BLOCK });
      equals('What is there', body[0], 0x62);
      await closes(main, moved.handle);
    },
    TWO,
  ),
  serverCase(
    'data-processes.resumed-elsewhere',
    'H1',
    'When the session of a data process has ended, another data process of the client resumes its hold, with the same identity',
    async (target) => {
      await target.release();
      const [main, second] = [await begins(target, 0), await begins(target, 1)];
      const { identity } = await gets(target, second);
      await leaves(second);
      const attempt = async (): Promise<OpenAnswer | null> => {
        const { handle: status, body } = await main.call(asking(target, { resume: identity }));
        if (status === STATUS.BESIDE) return null;
        equals('The status of OPEN', status, STATUS.OK);
        return OpenAnswer.decode(body, 0, body.length);
      };
      const resumed = await waitFor(attempt, MOVED_DEADLINE_MS, 'The end of the session of the data process');
      equals('The identity', resumed.identity, identity);
      await closes(main, resumed.handle);
      await failed(main, asking(target, { resume: identity }), 'TAKEN');
    },
    TWO,
  ),
  serverCase(
    'data-processes.term-beside',
    'Q2',
    'A term of a mirror belongs to the data process that has claimed it: the voter refuses it to another one, and a higher term ends it',
    async (target) => {
      const [main, second] = [await begins(target, 0, null, [FEATURE.MIRROR]), await begins(target, 3, null, [FEATURE.MIRROR])];
      const mirror = new Mirror(second);
      equals('The outcome of FOUND', (await mirror.found()).voted, VOTED.DONE);
      equals('The outcome of CLAIM', (await mirror.claim(1)).voted, VOTED.DONE);
      const refused = [
        await mirror.claim(1, true, main),
        await mirror.store(1, config(1), main),
        await mirror.confirm(1, main),
        await mirror.dismiss(1, main),
      ];
      for (const { voted, sentence } of refused) {
        equals('The outcome for the other data process', voted, VOTED.SUPERSEDED);
        holds(sentence.includes('ata process 3'), `The refusal does not name the data process: ${sentence}`);
      }
      const { promise, stored } = await mirror.record(main);
      equals('Promise and configuration', [promise?.number, stored], [1, null]);
      equals('The outcome of CONFIG', (await mirror.store(1, config(1))).voted, VOTED.DONE);
      equals('The outcome of a higher CLAIM', (await mirror.claim(2, false, main)).voted, VOTED.DONE);
      for (const answer of [await mirror.claim(1), await mirror.store(1, config(2)), await mirror.confirm(1), await mirror.claim(2)])
        equals('The outcome for the first one afterwards', answer.voted, VOTED.SUPERSEDED);
      equals('The outcome of DISMISS', (await mirror.dismiss(2, main)).voted, VOTED.DONE);
    },
    { needs: ['second node', 'witness'] },
  ),
];
