// VOTE: the record of a mirror at a voter, from its founding to its end. Each case founds its own mirror, and dismisses it at the end, so
// that the server keeps no records. rssrv's mirrors/voters.test.ts tests the effect of a restart of the server.

import { VOLUME_MAX_BYTES } from '@rsio/base/lib/limits';
import { ANSWER, OP } from '@rsio/protocol/wire/frames';
import { MIRROR_CLIENTS_MAX, MIRROR_MEMBERS_MAX, TERM_NUMBER_MAX, TERM_STEP_MAX, VOTES_PER_SESSION_MAX } from '@rsio/protocol/wire/limits';
import { VOTE, VoteAnswer, VoteClaim, VOTED, VoteRecord } from '@rsio/protocol/wire/mirror-messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { RawRequest } from '../../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../../base/case.ts';
import { closed, equals, failed, holds, type StatusName } from '../../base/check.ts';
import { pack, type Packable } from '../../base/pack.ts';
import { agreed, config, IDENTITIES, Mirror, mirrorCase, newId, second, vote } from './raw-mirror.ts';

function malformed(
  id: string,
  what: string,
  aux: number,
  body: () => Buffer,
  changes: Partial<RawRequest> = {},
  status: StatusName = 'BAD_REQUEST',
): ServerCase {
  return serverCase(`mirror.body.${id}`, 'VOTE', `VOTE with ${what} is answered ${status}, and the path stays`, async (target) => {
    const path = await agreed(target);
    await failed(path, { ...vote(aux, body()), ...changes }, status);
    equals('The outcome of a RECORD after it', (await new Mirror(path).record()).voted, VOTED.UNKNOWN);
  });
}

const rawConfig = (changes: Readonly<Record<string, Packable>>): Buffer => {
  const { members, voters, nextVoters: _none, ...rest } = config(1);
  const lists = { members: members.map((one) => ({ ...one })), voters: voters.map((one) => ({ ...one })), nextVoters: null };
  return pack({ mirror: newId(), number: 1, config: { ...rest, inSync: [...rest.inSync], ...lists, ...changes } as Packable });
};

const rawClaim = (changes: Readonly<Record<string, Packable>>): Buffer =>
  pack({ mirror: newId(), number: 1, takesOver: false, ...changes });

const RULE_CASES: readonly ServerCase[] = [
  mirrorCase('found.again', 'Q1', 'FOUND again before the first claim is answered with the same voter', async (mirror) => {
    const { voter } = await mirror.record();
    const { keepsNotes: _notes, ...found } = await mirror.found();
    equals('Voter and outcome', found, {
      voted: VOTED.DONE,
      sentence: '',
      voter,
      promise: null,
      stored: null,
      replica: null,
    });
    await mirror.claim(1);
    equals('The outcome after a claim', (await mirror.found()).voted, VOTED.DIFFERENT);
    return 1;
  }),
  mirrorCase('dismissed', 'Q1', 'A record that is founded again after its end is of another voter', async (mirror) => {
    const { voter } = await mirror.record();
    await mirror.claim(1);
    equals('The outcome of DISMISS', (await mirror.dismiss(1)).voted, VOTED.DONE);
    equals('The outcome of CLAIM then', (await mirror.claim(2)).voted, VOTED.UNKNOWN);
    const again = await mirror.found();
    holds(again.voter !== voter && again.promise === null, 'The voter has the old id or promise');
    await mirror.claim(1);
    return 1;
  }),
  mirrorCase('claim.lower', 'Q2', 'A claim of a lower term is refused with the promise', async (mirror, { options }) => {
    await mirror.claim(5);
    const answer = await mirror.claim(4, true);
    equals(
      'Outcome and promise',
      [answer.voted, answer.promise?.number, answer.promise?.node],
      [VOTED.SUPERSEDED, 5, options.nodes[0]?.node],
    );
    equals('The outcome of the same claim again', (await mirror.claim(5)).voted, VOTED.DONE);
    return 5;
  }),
  mirrorCase('claim.step', 'Q2', 'A claim far above the promise is refused', async (mirror) => {
    equals('The outcome', (await mirror.claim(TERM_STEP_MAX + 1)).voted, VOTED.TOO_FAR);
    equals('The outcome of the highest', (await mirror.claim(TERM_STEP_MAX)).voted, VOTED.DONE);
    return TERM_STEP_MAX;
  }),
  mirrorCase(
    'claim.other',
    'Q3',
    'A claim of another client is refused until it takes over, or the holder has detached',
    async (mirror, target) => {
      const other = await second(target);
      equals('The outcome for a client that nothing names', (await mirror.claim(9, true, other)).voted, VOTED.UNKNOWN);
      await mirror.claim(1);
      await mirror.store(1, config(1));
      equals('The outcome without a take-over', (await mirror.claim(2, false, other)).voted, VOTED.HELD);
      equals('The outcome with one', (await mirror.claim(2, true, other)).voted, VOTED.DONE);
      equals('The outcome of a CONFIRM of the first', (await mirror.confirm(1)).voted, VOTED.SUPERSEDED);
      equals('The outcome of its CONFIG', (await mirror.store(1, config(2))).voted, VOTED.SUPERSEDED);
      equals('The outcome of its DISMISS', (await mirror.dismiss(1)).voted, VOTED.SUPERSEDED);
      await mirror.store(2, config(1, { clean: true }), other);
      equals('The outcome after a detach', (await mirror.claim(3)).voted, VOTED.DONE);
      return 3;
    },
    ['second node'],
  ),
  mirrorCase(
    'clients',
    'Q3',
    'A client that the configuration does not name is told that there is no record',
    async (mirror, target) => {
      const other = await second(target);
      await mirror.claim(1);
      await mirror.store(1, config(1, { clients: [target.options.nodes[0]?.node ?? ''] }));
      for (const answer of [await mirror.record(other), await mirror.claim(9, true, other), await mirror.confirm(1, other)])
        equals(
          'Outcome, voter, promise and configuration',
          [answer.voted, answer.voter, answer.promise, answer.stored],
          [VOTED.UNKNOWN, null, null, null],
        );
      return 1;
    },
    ['second node'],
  ),
  mirrorCase('config.unclaimed', 'Q4', 'A configuration of a term that was not claimed is refused', async (mirror) => {
    await mirror.claim(1);
    equals('The outcome', (await mirror.store(2, config(1))).voted, VOTED.UNCLAIMED);
    equals('The stored configuration', (await mirror.record()).stored, null);
    return 1;
  }),
  mirrorCase('config.order', 'Q4', 'The configuration of the highest version stays', async (mirror) => {
    await mirror.claim(1);
    const [first, later] = [config(1), config(2)];
    await mirror.store(1, later);
    equals('The outcome of an older one', (await mirror.store(1, first)).voted, VOTED.OLDER);
    equals('The outcome of the same one', (await mirror.store(1, later)).voted, VOTED.DONE);
    equals('The outcome of another one of this version', (await mirror.store(1, config(2))).voted, VOTED.DIFFERENT);
    equals('The stored one', (await mirror.record()).stored?.config, later);
    await mirror.claim(2);
    equals('The outcome of the first of the next term', (await mirror.store(2, first)).voted, VOTED.DONE);
    return 2;
  }),
  mirrorCase('config.largest', 'VOTE CONFIG', 'The largest configuration is stored, and told whole', async (mirror) => {
    const members = Array.from({ length: MIRROR_MEMBERS_MAX }, () => ({
      identity: newId(),
      serverid: 255,
      volume: 'v'.repeat(63),
      universe: 3,
    }));
    const voters = members.map(() => ({ voter: newId(), serverid: 255 }));
    const clients = Array.from({ length: MIRROR_CLIENTS_MAX - 1 }, (_, index) => `n${index}`.padEnd(63, 'x'));
    const nextVoters = members.map(() => ({ voter: newId(), serverid: 255 }));
    const identities = members.map(({ identity }) => identity);
    const sizes = { k: Number.MAX_SAFE_INTEGER, sizeBytes: VOLUME_MAX_BYTES };
    const largest = { ...sizes, inSync: identities, clean: true, members, voters, nextVoters };
    await mirror.claim(1);
    const named = { ...largest, clients: [...clients, mirror.path.identity.node] };
    equals('The outcome', (await mirror.store(1, named)).voted, VOTED.DONE);
    equals('The stored configuration', (await mirror.record()).stored?.config, named);
    return 1;
  }),
  mirrorCase('confirm', 'Q4', 'CONFIRM says whether the term is that of the promise, without the configuration', async (mirror) => {
    await mirror.claim(1);
    await mirror.store(1, config(1));
    const answer = await mirror.confirm(1);
    equals('Outcome, number and configuration', [answer.voted, answer.promise?.number, answer.stored], [VOTED.DONE, 1, null]);
    equals('The outcome for a higher term', (await mirror.confirm(2)).voted, VOTED.UNCLAIMED);
    return 1;
  }),
  mirrorCase('copy', 'S1', 'A late copy of a VOTE is answered from its slot', async (mirror, target) => {
    const body = VoteClaim.encode({ mirror: mirror.id, number: 1, takesOver: false });
    const request = { ...vote(VOTE.CLAIM, body), slot: target.slot(), seq: 1 };
    const answers: Buffer[] = [];
    for (let times = 0; times < 2; times++) {
      mirror.path.request(request);
      answers.push((await mirror.path.next(({ op, slot }) => op === (OP.VOTE | ANSWER) && slot === request.slot)).body);
      await mirror.claim(2);
    }
    holds(answers[0]!.equals(answers[1]!), 'The copy is answered differently');
    return 2;
  }),
];

/** Cases that restart the server. The suite runs these cases last. */
export const MIRROR_RESTART_CASES: readonly ServerCase[] = [
  mirrorCase(
    'restart',
    'Q2',
    'Voter, promise and configuration survive a restart of the server',
    async (mirror, target) => {
      await mirror.claim(7);
      await mirror.store(7, config(3));
      const before = await mirror.record();
      target.leave();
      await target.options.control?.restart();
      const path = await agreed(target);
      equals('The record', await mirror.record(path), before);
      equals('The outcome of a claim below the promise', (await mirror.claim(6, true, path)).voted, VOTED.SUPERSEDED);
      equals('The outcome of an older configuration', (await mirror.store(7, config(2), path)).voted, VOTED.OLDER);
      mirror.path = path;
      return 7;
    },
    ['control'],
  ),
];

export const MIRROR_CASES: readonly ServerCase[] = [
  ...RULE_CASES,
  serverCase('mirror.unknown', 'Q1', 'A mirror that nobody has founded is unknown', async (target) => {
    const mirror = new Mirror(await agreed(target));
    const nothing = { voter: null, promise: null, stored: null };
    for (const answer of [await mirror.record(), await mirror.claim(1, true), await mirror.store(1, config(1)), await mirror.confirm(1)]) {
      const { voter, promise, stored } = answer;
      equals('The outcome', answer.voted, VOTED.UNKNOWN);
      equals('Voter, promise and configuration', { voter, promise, stored }, nothing);
    }
  }),
  serverCase('mirror.many', 'Q5', 'More VOTEs at once than the bound are answered, each with an outcome or REFUSED', async (target) => {
    const path = await agreed(target);
    const slots = Array.from({ length: VOTES_PER_SESSION_MAX + 4 }, () => target.slot());
    const body = VoteRecord.encode({ mirror: newId() });
    for (const slot of slots) path.request({ ...vote(VOTE.RECORD, body), slot, seq: 1 });
    for (const slot of slots) {
      const frame = await path.next(({ op, slot: at }) => op === (OP.VOTE | ANSWER) && at === slot);
      equals('The status', frame.handle, STATUS.OK);
      const { voted } = VoteAnswer.decode(frame.body, 0, frame.body.length);
      holds(voted === VOTED.UNKNOWN || voted === VOTED.REFUSED, `The outcome is ${voted}`);
    }
  }),
  malformed('none', 'no body', VOTE.RECORD, () => Buffer.alloc(0)),
  malformed('rubbish', 'a body that is no MessagePack', VOTE.CLAIM, () => Buffer.from([0xc1])),
  malformed('id', 'an id that is no file name', VOTE.FOUND, () =>
    pack({ mirror: '../../../../../../../etc/passwd0', name: 'db', universe: 0 }),
  ),
  malformed('id-short', 'an id that is too short', VOTE.CLAIM, () => rawClaim({ mirror: 'abc' })),
  malformed('id-upper', 'an id in capital letters', VOTE.CLAIM, () => rawClaim({ mirror: 'A'.repeat(32) })),
  malformed('term-zero', 'term 0', VOTE.CLAIM, () => rawClaim({ number: 0 })),
  malformed('term-large', 'a term beyond the bound', VOTE.CLAIM, () => rawClaim({ number: TERM_NUMBER_MAX + 1 })),
  malformed('term-part', 'a term that is no whole number', VOTE.CLAIM, () => rawClaim({ number: 1.5 })),
  malformed('name', 'a name with a slash', VOTE.FOUND, () => pack({ mirror: newId(), name: 'a/b', universe: 0 })),
  malformed('empty', 'no replica in sync', VOTE.CONFIG, () => rawConfig({ inSync: [] })),
  malformed('stranger', 'a replica in sync that is no member', VOTE.CONFIG, () => rawConfig({ inSync: [newId()] })),
  malformed('twice', 'the same identity twice', VOTE.CONFIG, () => rawConfig({ inSync: [IDENTITIES[0], IDENTITIES[0]] })),
  malformed('members', 'too many members', VOTE.CONFIG, () =>
    rawConfig({
      members: Array.from({ length: MIRROR_MEMBERS_MAX + 1 }, () => ({ identity: newId(), serverid: 1, volume: 'db', universe: 0 })),
    }),
  ),
  malformed('voters', 'no voters', VOTE.CONFIG, () => rawConfig({ voters: [] })),
  malformed('next-voters', 'no voters after the change', VOTE.CONFIG, () => rawConfig({ nextVoters: [] })),
  malformed('size', 'a size that is no multiple of a sector', VOTE.CONFIG, () => rawConfig({ sizeBytes: 513 })),
  malformed('place', 'the name of a snapshot to place', VOTE.PLACE, () =>
    pack({ mirror: newId(), number: 1, volume: 'db@monday', universe: 0 }),
  ),
  malformed('clients', 'an empty list of clients', VOTE.CONFIG, () => rawConfig({ clients: [] })),
  malformed('k', 'a configuration with number 0', VOTE.CONFIG, () => rawConfig({ k: 0 })),
  malformed('kind', 'an unknown kind', 99, () => rawClaim({}), {}, 'UNSUPPORTED'),
  malformed('handle', 'a handle', VOTE.CLAIM, () => rawClaim({}), { handle: 1 }),
  malformed('flags', 'a flag', VOTE.CLAIM, () => rawClaim({}), { flags: 1 }),
  serverCase(
    'mirror.not-agreed',
    'VOTE',
    'VOTE without the agreed feature closes the path',
    async (target) => {
      const path = await target.path();
      path.request({ ...vote(VOTE.RECORD, VoteRecord.encode({ mirror: newId() })), slot: path.homeSlot, seq: 1 });
      await closed(path);
    },
    { log: /VOTE was not negotiated/ },
  ),
];
