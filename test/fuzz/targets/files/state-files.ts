// The daemons' state files: holders and their epochs, volume ids, process records, the identity of a client. Oracle: an unusable file is
// refused with E_SYSTEM and the name of the file. Accepted contents can be sent to clients and written again.

import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { systemClock } from '@rsio/base/lib/clock';
import type { SeededRandom } from '@rsio/base/testing/seeded-random';
import { FailureAnswer, TAKE } from '@rsio/protocol/wire/messages';
import { INSTANCE_MAX } from '@rsio/protocol/wire/limits';
import { nextIdentity } from '@rsio/protocol/client-identity';
import { Holds } from '@rsio/rssrv/volumes/holds/holds';
import { LEDGER_FILE, type LedgerContent } from '@rsio/rssrv/volumes/holds/ledger-file';
import { StateFile } from '@rsio/base/files/state-file';
import type { VolumePools } from '@rsio/rssrv/storage/io/served-volume';
import { RunRecords } from '@rsio/rssrv/server/run-records';
import { unhinderedPorts } from '@rsio/rssrv/testing/grant-ports';
import { readIdRecords, settleIds, withIds } from '@rsio/rssrv/volumes/volume-ids';
import { expectPrintable, expectRefusal, expectThat, type FuzzTarget } from '../../fixtures/fuzz-target.ts';
import { mutated } from '../../makers/mutator.ts';
import { scratchFolder } from '../../fixtures/scratch.ts';
import { NO_LEDGER } from '@rsio/rssrv/testing/no-ledgers';

// the kind of file (u8) | its bytes
const KINDS = ['holders', 'volumes', 'records', 'identity', 'ledger'] as const;
const ID = '2f1c9a52-7a0e-4c58-9d3b-0b6a1e4f7c21';
const VOLUME = {
  name: 'oracle',
  universe: 0,
  type: 'memory',
  path: null,
  readonly: false,
  shared: false,
  takeOver: null,
  takeOverForce: true,
  clients: null,
} as const;
const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined, child: () => quiet };

let folder: string | null = null;

/** Returns the folder of this process for files. The folder is made at the first call. */
function scratch(): string {
  folder ??= scratchFolder();
  return folder;
}

/** Whether a record may name a living process of this machine, which the code under test would kill. */
function namesProcesses(bytes: Buffer): boolean {
  try {
    const { content } = JSON.parse(bytes.toString('utf8')) as { content: { workers: unknown[] } };
    return content.workers.length > 0;
  } catch {
    return false;
  }
}

/** Stores clients with extreme values that HELLO permits. */
async function useInstances(holders: Holds): Promise<void> {
  const extreme = { node: 'n'.repeat(63), machine: 'm'.repeat(128), boot: 'b'.repeat(128), process: 'p'.repeat(128), address: '::1' };
  const last = { ...extreme, instance: INSTANCE_MAX };
  try {
    await holders.noteInstance(last, null);
    await holders.noteInstance({ ...last, process: 'q' }, last);
    await holders.noteInstance({ ...extreme, machine: 'other', instance: 0 }, last);
  } catch (thrown) {
    // The file must accept every identity that HELLO permits.
    throw new Error(`a client cannot be kept: ${String(thrown)}`);
  }
  expectThat(!holders.isCurrent(last), 'an instance that was replaced may come back');
}

async function useHolders(file: string): Promise<boolean> {
  const holders = new Holds(file, () => 0, quiet, NO_LEDGER);
  await holders.load();
  return useHolds(holders, VOLUME, () => new Holds(file, () => 0, quiet, NO_LEDGER).load());
}

/** Uses the ledger of a pool that has the volume. */
async function useLedger(file: string): Promise<boolean> {
  const state: StateFile<LedgerContent> = new StateFile(file, LEDGER_FILE, () => ({ ...read!, ...holders.inLedger(read!.poolId) }));
  const holders = new Holds(`${file}.holders`, () => 0, quiet, { save: () => state.save(), isDirty: () => false, doubt: () => undefined });
  const read = await state.load();
  if (read === null) return false;
  holders.adopt(read.poolId, read, new Set([ID]), true);
  return useHolds(holders, { ...VOLUME, pool: { ids: [read.poolId], isThick: false } }, async () => void (await state.load()));
}

/** `again`: loads the file as the next start does. */
async function useHolds(
  holders: Holds,
  one: typeof VOLUME & { readonly pool?: VolumePools },
  again: () => Promise<void>,
): Promise<boolean> {
  await useInstances(holders);
  // The next start must accept an entry that was accepted and stored.
  await again().catch((thrown: unknown) => {
    throw new Error(`a file that was kept is not taken: ${String(thrown)}`);
  });
  // The contents of a hold must be encodable, because refused clients get them, and all clients see these contents in the list.
  const holds = holders.holdersOf(ID);
  FailureAnswer.encode({ sentence: 'held', holders: holds });
  if (holds.length === 0) return true;
  const client = { node: 'newcomer', instance: 1, machine: 'm', boot: 'b', process: 'p', address: '127.0.0.1' };
  const volume = { ...one, id: ID, sizeBytes: 1 << 20, blockSizeBytes: 512 } as const;
  const ports = unhinderedPorts(volume);
  const request = { name: 'oracle', universe: 0, readonly: false, take: TAKE.NO, resume: null, mirror: null };
  const grant = await holders.grant(ID, client, request, ports);
  expectThat(!grant.granted, 'a volume that is held was granted');
  FailureAnswer.encode({ sentence: grant.sentence, holders: grant.holders });
  const resuming = await holders.grant(ID, client, { ...request, resume: 'id.1' }, ports);
  expectThat(!resuming.granted, 'a hold was resumed that never was');
  FailureAnswer.encode({ sentence: resuming.sentence, holders: resuming.holders });
  const taking = await holders.grant(ID, client, { ...request, take: TAKE.FORCE }, ports);
  expectThat(taking.granted, 'a volume could not be taken over');
  await again();
  return true;
}

async function use(kind: (typeof KINDS)[number], file: string, bytes: Buffer): Promise<boolean> {
  switch (kind) {
    case 'holders':
      return useHolders(file);
    case 'ledger':
      return useLedger(file);
    case 'volumes': {
      const configured = [{ ...VOLUME, id: null, sameContent: null, sizeBytes: 1 << 20, blockSizeBytes: 512, line: 1 } as const];
      const records = await readIdRecords(file);
      const { ids, warnings } = settleIds(records, configured, () => true);
      for (const warning of warnings) expectPrintable(warning, 'a warning');
      expectThat(/^[0-9a-f-]{36}$/.test(ids.get('oracle@0') ?? ''), 'a volume got an id that is none');
      withIds(records, ids, new Map(), new Map(), new Map());
      return true;
    }
    case 'records': {
      if (namesProcesses(bytes)) return true;
      const records = new RunRecords(file, 'boot');
      await records.endOldWorkers(systemClock, quiet);
      expectThat(/^boot\.[0-9a-f]+\.-?\d+\.-?\d+$/.test(records.incarnationOf(ID)), `a life is called ${records.incarnationOf(ID)}`);
      return true;
    }
    default: {
      const { instance } = await nextIdentity(path.dirname(file));
      expectThat(Number.isSafeInteger(instance), `the instance is ${instance}`);
      return true;
    }
  }
}

async function run(input: Buffer): Promise<boolean> {
  const kind = KINDS[(input[0] ?? 0) % KINDS.length]!;
  const bytes = input.subarray(1);
  const file = path.join(scratch(), kind === 'identity' ? 'identity.json' : `${kind}.json`);
  writeFileSync(file, bytes);
  try {
    return await use(kind, file, bytes);
  } catch (thrown) {
    expectRefusal(['E_SYSTEM'], thrown);
    expectThat((thrown as Error).message.includes(file), `the file is not named: ${(thrown as Error).message}`);
    return false;
  }
}

const ODD = [
  '',
  ' ',
  'a b',
  '..',
  'a\u001b[2Jb',
  'ü',
  '\u202e',
  'x'.repeat(200),
  '__proto__',
  0,
  -1,
  1.5,
  9e15,
  2 ** 53,
  null,
  true,
  [],
  {},
];

function odd<T>(random: SeededRandom, usual: T): unknown {
  return random.chance(0.06) ? random.pick(ODD) : usual;
}

function notes(random: SeededRandom): unknown {
  const last = {
    machine: odd(random, 'm'),
    instance: odd(random, 3),
    boot: odd(random, 'b'),
    process: odd(random, 'p'),
    address: odd(random, ''),
  };
  const machines = Array.from({ length: random.int(0, 17) }, () => odd(random, { machine: odd(random, 'm'), below: odd(random, 4) }));
  return odd(random, { last: odd(random, random.pick([null, last])), machines, replaced: odd(random, ['q']) });
}

function content(random: SeededRandom, kind: (typeof KINDS)[number]): unknown {
  const ids = [ID, ID, '7'.repeat(8)];
  const hold = (): object => ({
    node: odd(random, 'big-2'),
    machine: odd(random, 'm'),
    instance: odd(random, 3),
    ...(random.chance(0.3) ? {} : { process: odd(random, random.pick([null, 'p'])) }),
    address: odd(random, '127.0.0.1'),
    sinceMs: odd(random, 1_284_476_552_000),
    readonly: odd(random, false),
    ...(random.chance(0.2) ? {} : { epoch: odd(random, random.int(0, 4)), life: odd(random, 'boot.0.0') }),
  });
  const taken = (): object => ({
    taken: random.chance(0.5) ? null : odd(random, { node: odd(random, 'mars'), address: odd(random, ''), atMs: odd(random, 1) }),
  });
  switch (kind) {
    case 'holders':
      return {
        volumes: {
          [random.pick(ids)]: odd(random, { epoch: odd(random, 4), holds: Array.from({ length: random.int(0, 3) }, hold), ...taken() }),
        },
        instances: { 'big-2 m': odd(random, 3) },
        nodes: odd(random, { [random.chance(0.9) ? 'big-2' : 'no name']: notes(random) }),
      };
    case 'ledger':
      return {
        poolId: odd(random, ID),
        generation: odd(random, 3),
        owner: odd(random, 'boot.run'),
        volumes: {
          [random.pick(ids)]: odd(random, {
            epoch: odd(random, 4),
            holds: [odd(random, { process: 'p', epoch: 1, life: null, ...hold() })],
            ...taken(),
          }),
        },
        nodes: odd(random, { 'big-2': notes(random) }),
        fences: odd(random, { venus: odd(random, { sinceMs: odd(random, 1), by: odd(random, null) }) }),
      };
    case 'records':
      return {
        workers: random.chance(0.8) ? [] : [odd(random, { pid: 0, startTime: odd(random, 'never') })],
        lives: { [ID]: odd(random, 2) },
        listenerEnds: odd(random, 1),
      };
    default:
      return { machine: odd(random, '4a1f'), instance: odd(random, 7) };
  }
}

function volumes(random: SeededRandom): object {
  const key = random.chance(0.9) ? 'oracle@0' : 'a\u001b[2J@0';
  const places = random.chance(0.5) ? {} : { places: odd(random, { [ID]: odd(random, 'memory') }) };
  const fact = { readonly: odd(random, false), shared: odd(random, false), blocksize: odd(random, 512), stamp: odd(random, 'i5.b7') };
  const facts = random.chance(0.5)
    ? {}
    : { sizes: odd(random, { [ID]: odd(random, 512) }), facts: odd(random, { [ID]: odd(random, fact) }) };
  return { volumes: odd(random, { [key]: odd(random, ID) }), ...places, ...facts };
}

function make(random: SeededRandom): Buffer {
  const index = random.int(0, KINDS.length - 1);
  const kind = KINDS[index]!;
  const version = odd(random, kind === 'holders' && random.chance(0.8) ? random.int(2, 3) : 1);
  const whole = kind === 'volumes' ? { version, ...volumes(random) } : { version, content: content(random, kind) };
  const text = Buffer.from(JSON.stringify(whole));
  return Buffer.concat([Buffer.from([index]), random.chance(0.7) ? text : mutated(random, text, 2)]);
}

export const stateFiles: FuzzTarget = { name: 'state-files', deep: 'the file was taken', fixedSeeds: 350, make, run };
