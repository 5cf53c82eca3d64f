// LIST, OPEN, CLOSE and IOCTL: the contents of their answers, and their refusals. holders.ts has the cases about holds. Each case closes
// the handles that it opens, because the hold can be released only without handles.

import { HANDLES_PER_SESSION_MAX } from '@rsio/protocol/link/limits';
import { SECTOR_BYTES } from '@rsio/base/lib/limits';
import { LBA_MAX } from '@rsio/protocol/wire/limits';
import { FLAG, OP } from '@rsio/protocol/wire/frames';
import {
  ChangesRequest,
  ExtentsAnswer,
  ExtentsRequest,
  IdentifyAnswer,
  IOCTL,
  ListAnswer,
  OpenAnswer,
  OpenRequest,
  SnapshotsRequest,
} from '@rsio/protocol/wire/messages';
import type { RawClient, RawRequest } from '../../support/peers/raw-peer.ts';
import { type ServerCase, serverCase } from '../base/case.ts';
import { answered, equals, failed, holds, statusName, type StatusName } from '../base/check.ts';
import { hex, pack, type Packable } from '../base/pack.ts';
import { BLOCK, type Target } from '../base/target.ts';

async function list(path: RawClient): Promise<ListAnswer> {
  const { body } = await answered(path, { op: OP.LIST });
  return ListAnswer.decode(body, 0, body.length);
}

function openBody(name: string, changes: Readonly<Record<string, Packable>> = {}): Buffer {
  return pack({ name, universe: 0, readonly: true, ...changes });
}

async function close(path: RawClient, handle: number): Promise<void> {
  await answered(path, { op: OP.CLOSE, handle });
}

/** Makes a case in which an OPEN has this body and the server must answer BAD_REQUEST. */
function notAnOpen(id: string, what: string, body: Buffer | ((target: Target) => Buffer)): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const path = await target.path();
    const sentence = await failed(path, { op: OP.OPEN, body: typeof body === 'function' ? body(target) : body }, 'BAD_REQUEST');
    holds(sentence.startsWith('OPEN'), `The refusal does not say what is wrong with OPEN: ${sentence}`);
  };
  return serverCase(`open.body.${id}`, 'Message bodies', `OPEN with ${what} is answered BAD_REQUEST, and the path stays`, run);
}

/** Makes a case in which a request for the open volume must fail with this status. */
function fails(
  id: string,
  section: string,
  expects: string,
  request: RawRequest,
  status: StatusName,
  handle: number | null = null,
): ServerCase {
  const run = async (target: Target): Promise<void> => {
    const open = await target.handle();
    await failed(await target.path(), { ...request, handle: handle ?? open }, status);
  };
  return serverCase(id, section, `${expects}: ${status}`, run);
}

const extents = (lba: number, sectors: number): RawRequest => ({
  op: OP.IOCTL,
  aux: IOCTL.EXTENTS,
  body: ExtentsRequest.encode({ lba, sectors }),
});

const LIST_CASES: readonly ServerCase[] = [
  serverCase('list.answer', 'LIST answer', 'LIST names the volume with its size, and the interfaces', async (target) => {
    const open = await target.plain();
    const { volumes, interfaces } = await list(await target.path());
    const volume = volumes.find(({ name }) => name === target.options.volumes.plain);
    holds(volume !== undefined, `LIST does not name ${target.options.volumes.plain}`);
    const { id, sizeBytes, blockSizeBytes, shared } = open;
    equals(
      'The volume',
      { ...volume, holders: [] },
      { name: volume.name, id, universe: 0, sizeBytes, blockSizeBytes, readonly: false, shared, holders: [] },
    );
    equals(
      'Its holders',
      volume.holders.map(({ node }) => node),
      [target.options.nodes[0]?.node],
    );
    equals('The interfaces', interfaces, (await target.first()).welcome.interfaces);
  }),
  serverCase('list.generation', 'LIST answer', 'The generation of LIST is that of WELCOME as long as nothing changes', async (target) => {
    const path = await target.path();
    equals('The generation', (await list(path)).generation, path.welcome.generation);
  }),
  serverCase(
    'list.foreign',
    'LIST answer',
    'A volume of other clients is not in LIST, and OPEN answers as for an unknown volume',
    async (target) => {
      const name = target.options.volumes.foreign ?? '';
      const path = await target.path();
      holds(!(await list(path)).volumes.some((volume) => volume.name === name), `LIST names ${name}`);
      const foreign = await failed(path, { op: OP.OPEN, body: openBody(name) }, 'UNKNOWN_VOLUME');
      const none = await failed(path, { op: OP.OPEN, body: openBody('n-o-n-e') }, 'UNKNOWN_VOLUME');
      equals('The sentence', foreign.replace(name, 'n-o-n-e'), none);
    },
    { needs: ['foreign volume'] },
  ),
  fails('list.body', 'LIST answer', 'LIST with a body', { op: OP.LIST, body: hex('80') }, 'BAD_REQUEST'),
  fails('list.flags', 'Flags', 'LIST with MORE', { op: OP.LIST, flags: FLAG.MORE }, 'BAD_REQUEST'),
];

async function opened(target: Target, path: RawClient, readonly: boolean): Promise<OpenAnswer> {
  return path.open(target.options.volumes.plain, readonly);
}

const OPEN_CASES: readonly ServerCase[] = [
  serverCase('open.answer', 'OPEN answer', 'OPEN for reading gives a handle of its own, not 0, with readonly true', async (target) => {
    const first = await target.plain();
    const path = await target.path();
    const [one, other] = [await opened(target, path, true), await opened(target, path, true)];
    holds(one.handle !== 0 && one.handle !== other.handle && one.handle !== first.handle, `Handles ${one.handle} and ${other.handle}`);
    equals('readonly', [first.readonly, one.readonly], [false, true]);
    equals('The same volume', [one.id, one.sizeBytes, one.life], [first.id, first.sizeBytes, first.life]);
    for (const { handle } of [one, other]) await close(path, handle);
  }),
  serverCase('open.verifier', 'Verifier', 'Two OPENs of one hold have the same identity and the same life', async (target) => {
    const first = await target.plain();
    const path = await target.path();
    const again = await opened(target, path, false);
    equals('The verifier', [again.identity, again.life], [first.identity, first.life]);
    await close(path, again.handle);
  }),
  serverCase('open.handles', 'OPEN answer', 'The number of a handle is never reused in a session', async (target) => {
    await target.plain();
    const path = await target.path();
    const one = await opened(target, path, true);
    await close(path, one.handle);
    const other = await opened(target, path, true);
    holds(other.handle > one.handle, `Handle ${other.handle} came after ${one.handle}`);
    await close(path, other.handle);
  }),
  serverCase('open.unknown', 'Status', 'OPEN of an unknown volume: UNKNOWN_VOLUME', async (target) => {
    await failed(await target.path(), { op: OP.OPEN, body: openBody('n-o-n-e') }, 'UNKNOWN_VOLUME');
  }),
  serverCase('open.universe', 'OPEN', 'OPEN of the volume in another universe: UNKNOWN_VOLUME', async (target) => {
    await failed(await target.path(), { op: OP.OPEN, body: openBody(target.options.volumes.plain, { universe: 3 }) }, 'UNKNOWN_VOLUME');
  }),
  serverCase('open.unknown-field', 'Message bodies', 'The server ignores unknown fields of OPEN', async (target) => {
    await target.plain();
    const path = await target.path();
    const { body } = await answered(path, { op: OP.OPEN, body: openBody(target.options.volumes.plain, { colour: 'blue' }) });
    await close(path, OpenAnswer.decode(body, 0, body.length).handle);
  }),
  fails('open.flags', 'Flags', 'OPEN with FUA', { op: OP.OPEN, flags: FLAG.FUA, body: openBody('x') }, 'BAD_REQUEST'),
  notAnOpen('empty', 'no body', Buffer.alloc(0)),
  notAnOpen('number', 'a number', hex('07')),
  notAnOpen('list', 'a list', hex('90')),
  notAnOpen('empty-map', 'an empty map', hex('80')),
  notAnOpen('cut', 'a map cut short', (target) => openBody(target.options.volumes.plain).subarray(0, 20)),
  notAnOpen('tail', 'a byte behind the map', (target) => Buffer.concat([openBody(target.options.volumes.plain), hex('00')])),
  notAnOpen('endless-map', 'a map that claims 2^32 - 1 entries', hex('df ffffffff')),
  notAnOpen('endless-list', 'a list that claims 2^32 - 1 entries', hex('81 a46e616d65 dd ffffffff')),
  notAnOpen('endless-text', 'text that claims 4 GiB', hex('81 a46e616d65 db ffffffff')),
  notAnOpen('endless-bytes', 'bytes that claim 4 GiB', hex('81 a46e616d65 c6 ffffffff')),
  notAnOpen('time-stamp', 'a time-stamp extension', hex('81 a46e616d65 d6ff 5f000000')),
  notAnOpen('extension', 'an extension', hex('81 a46e616d65 c7 03 65 93a0a0a0')),
  notAnOpen('fixed-extension', 'a fixed extension of 16 bytes', Buffer.concat([hex('81 a46e616d65 d8 70'), Buffer.alloc(16)])),
  notAnOpen('record', 'a record definition', hex('d4 72 40 91 a161 01')),
  notAnOpen('unused-type', 'the type that MessagePack never uses', hex('c1')),
  notAnOpen('deep', 'lists in lists', Buffer.alloc(60_000, 0x91)),
  notAnOpen('number-keys', 'keys that are no text', hex('83 01 02 03 04 05 06')),
  notAnOpen('no-name', 'no name', pack({ universe: 0, readonly: true })),
  notAnOpen('path-name', 'a name with slashes', openBody('../../etc/passwd')),
  notAnOpen('dots', 'the name ..', openBody('..')),
  notAnOpen('long-name', 'a name of 64 characters', openBody('n'.repeat(64))),
  notAnOpen('control-name', 'control characters in the name', openBody('\u001b[2Jx')),
  notAnOpen('empty-name', 'an empty name', openBody('')),
  notAnOpen('number-name', 'a number as name', pack({ name: 5, universe: 0, readonly: true })),
  notAnOpen('universe-4', 'universe 4', openBody('x', { universe: 4 })),
  notAnOpen('readonly-1', '1 in place of true', openBody('x', { readonly: 1 })),
  notAnOpen('take-3', 'a take that there is not', openBody('x', { take: 3 })),
  notAnOpen('resume-number', 'a number as the identity to resume', openBody('x', { resume: 7 })),
  serverCase(
    'open.too-many',
    'OPEN answer',
    'A session may open 1,024 handles; one more is answered TOO_MANY_HANDLES until one is closed',
    async (target) => {
      await target.release();
      const session = await target.login(1);
      const body = OpenRequest.encode({ name: target.options.volumes.plain, universe: 0, readonly: true });
      const batch = 128;
      for (let seq = 1; seq <= HANDLES_PER_SESSION_MAX / batch; seq++) {
        session.request(...Array.from({ length: batch }, (_, slot) => ({ op: OP.OPEN, slot, seq, body })));
        for (let slot = 0; slot < batch; slot++) equals('The status of OPEN', statusName(await session.answer(slot)), 'OK');
      }
      session.homeSlot = batch;
      await failed(session, { op: OP.OPEN, body }, 'TOO_MANY_HANDLES');
      await close(session, 7);
      await answered(session, { op: OP.OPEN, body });
      await letGo(session);
    },
    { needs: ['second node'] },
  ),
];

/** Closes every handle that the session may have. The hold of the session then ends. */
async function letGo(session: RawClient): Promise<void> {
  const batch = 64;
  session.homeSlot = 200;
  for (let handle = 1; handle <= HANDLES_PER_SESSION_MAX + 1; handle += batch) {
    const slots = Array.from({ length: batch }, (_, index) => index + 129);
    session.request(...slots.map((slot, index) => ({ op: OP.CLOSE, slot, seq: (handle - 1) / batch + 1, handle: handle + index })));
    for (const slot of slots) await session.answer(slot);
  }
}

const CLOSE_CASES: readonly ServerCase[] = [
  serverCase('close.twice', 'CLOSE', 'CLOSE in two slots at once closes the handle once; afterwards it is STALE', async (target) => {
    await target.plain();
    const path = await target.path();
    const { handle } = await opened(target, path, true);
    const slots = [target.slot(), target.slot()];
    path.request(...slots.map((slot) => ({ op: OP.CLOSE, handle, slot, seq: 1 })));
    const statuses: string[] = [];
    for (const slot of slots) statuses.push(statusName(await path.answer(slot)));
    equals('How many of both were OK', statuses.filter((status) => status === 'OK').length, 1);
    await answered(path, { op: OP.READ, handle, count: BLOCK }, 'STALE');
  }),
  serverCase(
    'close.busy',
    'CLOSE',
    'CLOSE while a WRITE with FUA executes is refused or runs after it: the WRITE is OK in both cases',
    async (target) => {
      await target.plain();
      const path = await target.path();
      const { handle } = await opened(target, path, false);
      const [writing, closing] = [target.slot(), target.slot()];
      const write = {
        op: OP.WRITE,
        flags: FLAG.FUA,
        handle,
        slot: writing,
        seq: 1,
        lba: 4096,
        count: 2048,
        body: Buffer.alloc(1024 * 1024),
      };
      path.request(write, { op: OP.CLOSE, handle, slot: closing, seq: 1 });
      equals('The status of WRITE', statusName(await path.answer(writing)), 'OK');
      const status = statusName(await path.answer(closing));
      holds(status === 'OK' || status === 'BAD_REQUEST', `CLOSE was answered ${status}`);
      if (status === 'BAD_REQUEST') await close(path, handle);
    },
  ),
  fails('close.body', 'LIST answer', 'CLOSE with a body', { op: OP.CLOSE, body: hex('80') }, 'BAD_REQUEST'),
  fails('close.flags', 'Flags', 'CLOSE with flag 0x80', { op: OP.CLOSE, flags: 0x80 }, 'BAD_REQUEST'),
  fails('close.unknown', 'CLOSE', 'CLOSEof a handle that was never granted', { op: OP.CLOSE }, 'STALE', 0xfff0),
];

const IOCTL_CASES: readonly ServerCase[] = [
  serverCase('ioctl.identify', 'IDENTIFY answer', 'IDENTIFY answers as OPEN did, and repeats aux', async (target) => {
    const { handle, id, sizeBytes, blockSizeBytes, readonly, canDiscard } = await target.plain();
    const { body, aux } = await answered(await target.path(), { op: OP.IOCTL, handle, aux: IOCTL.IDENTIFY });
    equals('aux', aux, IOCTL.IDENTIFY);
    const told = IdentifyAnswer.decode(body, 0, body.length);
    const { type, canExtents } = told;
    equals('The answer', told, {
      name: target.options.volumes.plain,
      id,
      type,
      sizeBytes,
      blockSizeBytes,
      readonly,
      canDiscard,
      canExtents,
    });
    holds(['file', 'block', 'memory', 'null'].includes(type), `The volume's type is ${type}`);
  }),
  serverCase(
    'ioctl.extents.whole',
    'EXTENTS answer',
    'EXTENTS of the whole volume lists extents from its beginning, and none past its end',
    async (target) => {
      const [handle, end] = [await target.handle(), await target.end()];
      const { body, aux } = await answered(await target.path(), { handle, ...extents(0, end) });
      equals('aux', aux, IOCTL.EXTENTS);
      const pairs = ExtentsAnswer.decode(body, 0, body.length).extents;
      const sectors = pairs.filter((_, index) => index % 2 === 0);
      const kinds = pairs.filter((_, index) => index % 2 === 1);
      holds(sectors.length === kinds.length && sectors.length > 0, 'There are no pairs in the answer');
      holds(kinds.every((kind) => kind === 0 || kind === 1) && sectors.every((count) => count > 0), `The extents are ${pairs.join(' ')}`);
      holds(sectors.reduce((sum, count) => sum + count, 0) <= end, 'The extents go past the end');
    },
  ),
  serverCase('ioctl.extents.data', 'EXTENTS answer', 'EXTENTS reports written ranges as data', async (target) => {
    const handle = await target.handle();
    const { body } = await answered(await target.path(), { handle, ...extents(0, BLOCK) });
    equals('The extents', ExtentsAnswer.decode(body, 0, body.length).extents, [BLOCK, 0]);
  }),
  serverCase('ioctl.extents.ends', 'EXTENTS', 'EXTENTS of the last sectors is OK, and past the end PAST_END', async (target) => {
    const [handle, end] = [await target.handle(), await target.end()];
    const path = await target.path();
    await answered(path, { handle, ...extents(end - BLOCK, BLOCK) });
    await failed(path, { handle, ...extents(end - BLOCK, 2 * BLOCK) }, 'PAST_END');
    await failed(path, { handle, ...extents(end, BLOCK) }, 'PAST_END');
  }),
  fails('ioctl.extents.farthest', 'EXTENTS', 'EXTENTS of the largest possible range', extents(LBA_MAX, LBA_MAX), 'PAST_END'),
  fails('ioctl.extents.no-body', 'EXTENTS', 'EXTENTS without a body', { op: OP.IOCTL, aux: IOCTL.EXTENTS }, 'BAD_REQUEST'),
  ...(
    [
      ['none', 'of no sectors', { lba: 0, sectors: 0 }],
      ['fraction', 'from a fraction on', { lba: 0.5, sectors: 1 }],
      ['negative', 'from a negative sector on', { lba: -1, sectors: 1 }],
      ['past-lba', 'from sector 2^48 on', { lba: LBA_MAX + 1, sectors: 1 }],
      ['missing', 'without the number of sectors', { lba: 0 }],
    ] as const
  ).map(([id, what, body]) =>
    fails(`ioctl.extents.${id}`, 'EXTENTS', `EXTENTS ${what}`, { op: OP.IOCTL, aux: IOCTL.EXTENTS, body: pack(body) }, 'BAD_REQUEST'),
  ),
  ...[0, 6, 0xffffffff].map((aux) => fails(`ioctl.number.${aux}`, 'IOCTL', `IOCTL ${aux}`, { op: OP.IOCTL, aux }, 'UNSUPPORTED')),
  fails(
    'ioctl.snapshots.volume',
    'SNAPSHOTS',
    'SNAPSHOTS of a volume',
    { op: OP.IOCTL, aux: IOCTL.SNAPSHOTS, body: SnapshotsRequest.encode({ after: null }) },
    'UNSUPPORTED',
  ),
  fails(
    'ioctl.changes.volume',
    'CHANGES',
    'CHANGES of a volume',
    { op: OP.IOCTL, aux: IOCTL.CHANGES, body: ChangesRequest.encode({ since: 'id', lba: 0, sectors: 1 }) },
    'UNSUPPORTED',
  ),
  fails(
    'ioctl.changes.past-end',
    'CHANGES',
    'CHANGES past the end',
    { op: OP.IOCTL, aux: IOCTL.CHANGES, body: ChangesRequest.encode({ since: 'id', lba: LBA_MAX, sectors: LBA_MAX }) },
    'PAST_END',
  ),
  ...[IOCTL.SNAPSHOTS, IOCTL.CHANGES].map((aux) =>
    fails(`ioctl.no-body.${aux}`, 'IOCTL', `IOCTL ${aux} without a body`, { op: OP.IOCTL, aux }, 'BAD_REQUEST'),
  ),
  fails('ioctl.flags', 'Flags', 'IOCTL with FUA', { op: OP.IOCTL, aux: IOCTL.IDENTIFY, flags: FLAG.FUA }, 'BAD_REQUEST'),
  fails('ioctl.unknown-handle', 'IOCTL', 'IOCTLof a handle that was never granted', { op: OP.IOCTL, aux: IOCTL.IDENTIFY }, 'STALE', 0xfff0),
  serverCase('ioctl.size', 'Volume', 'The size is a multiple of the block size', async (target) => {
    const { sizeBytes, blockSizeBytes } = await target.plain();
    equals('The rest', [sizeBytes % blockSizeBytes, sizeBytes % SECTOR_BYTES], [0, 0]);
  }),
];

export const REQUEST_CASES: readonly ServerCase[] = [...LIST_CASES, ...OPEN_CASES, ...CLOSE_CASES, ...IOCTL_CASES];
