// A mirror at the server under test, for raw clients: sends VOTEs and makes configurations. Each case founds a mirror at its beginning and
// dismisses it at its end, so that the server keeps no records. votes.ts and replicas.ts have the cases.

import { randomBytes } from 'node:crypto';
import { FEATURE } from '@rsio/protocol/wire/features';
import { OP } from '@rsio/protocol/wire/frames';
import {
  type MirrorConfig,
  VOTE,
  VoteAnswer,
  VoteClaim,
  VoteConfig,
  VOTED,
  VoteFound,
  VotePlace,
  VoteRecord,
  VoteTerm,
} from '@rsio/protocol/wire/mirror-messages';
import { RawClient, type RawRequest } from '../../../support/peers/raw-peer.ts';
import { type Need, type ServerCase, serverCase } from '../../base/case.ts';
import { answered, equals } from '../../base/check.ts';
import type { Target } from '../../base/target.ts';

export const newId = (): string => randomBytes(16).toString('hex');

export function vote(aux: number, body: Buffer): RawRequest {
  return { op: OP.VOTE, aux, body };
}

/** A mirror at the server, as one client uses it. */
export class Mirror {
  readonly id = newId();
  path: RawClient;

  constructor(path: RawClient) {
    this.path = path;
  }

  async ask(aux: number, body: Buffer, path = this.path): Promise<VoteAnswer> {
    const frame = await answered(path, vote(aux, body));
    equals('aux of the answer', frame.aux, aux);
    return VoteAnswer.decode(frame.body, 0, frame.body.length);
  }

  found(path = this.path): Promise<VoteAnswer> {
    return this.ask(VOTE.FOUND, VoteFound.encode({ mirror: this.id, name: 'conformance', universe: 0 }), path);
  }

  claim(number: number, takesOver = false, path = this.path): Promise<VoteAnswer> {
    return this.ask(VOTE.CLAIM, VoteClaim.encode({ mirror: this.id, number, takesOver }), path);
  }

  store(number: number, config: MirrorConfig, path = this.path): Promise<VoteAnswer> {
    return this.ask(VOTE.CONFIG, VoteConfig.encode({ mirror: this.id, number, config }), path);
  }

  record(path = this.path): Promise<VoteAnswer> {
    return this.ask(VOTE.RECORD, VoteRecord.encode({ mirror: this.id }), path);
  }

  confirm(number: number, path = this.path): Promise<VoteAnswer> {
    return this.ask(VOTE.CONFIRM, VoteTerm.encode({ mirror: this.id, number }), path);
  }

  dismiss(number: number, path = this.path): Promise<VoteAnswer> {
    return this.ask(VOTE.DISMISS, VoteTerm.encode({ mirror: this.id, number }), path);
  }

  place(number: number, volume: string, path = this.path): Promise<VoteAnswer> {
    return this.ask(VOTE.PLACE, VotePlace.encode({ mirror: this.id, number, volume, universe: 0 }), path);
  }

  unplace(number: number, path = this.path): Promise<VoteAnswer> {
    return this.ask(VOTE.UNPLACE, VoteTerm.encode({ mirror: this.id, number }), path);
  }
}

export const IDENTITIES = [newId(), newId()] as const;

export function config(k: number, changes: Partial<MirrorConfig> = {}): MirrorConfig {
  const members = IDENTITIES.map((identity, serverid) => ({ identity, serverid, volume: 'db', universe: 0 }));
  const voters = [{ voter: newId(), serverid: 1 }];
  return {
    k,
    inSync: [...IDENTITIES],
    clean: false,
    members,
    voters,
    nextVoters: null,
    sizeBytes: 2 ** 30,
    clients: null,
    ...changes,
  };
}

/** Adds a path to the shared session. The path may send VOTE. */
export async function agreed(target: Target): Promise<RawClient> {
  const first = await target.first();
  const path = target.keep(await RawClient.login(target.place(), target.identity(0, { features: [FEATURE.MIRROR] }), first));
  path.homeSlot = target.slot();
  return path;
}

/** Begins a session of the second node that may send VOTE. */
export async function second(target: Target): Promise<RawClient> {
  return target.keep(await RawClient.begin(target.place(), target.identity(1, { features: [FEATURE.MIRROR] })));
}

/**
 * Makes a case with a record that the first client has founded. At the end of the case, the client of the last term dismisses the record.
 */
export function mirrorCase(
  id: string,
  section: string,
  expects: string,
  run: (mirror: Mirror, target: Target) => Promise<number>,
  more: readonly Need[] = [],
): ServerCase {
  return serverCase(
    `mirror.${id}`,
    section,
    expects,
    async (target) => {
      const mirror = new Mirror(await agreed(target));
      equals('The outcome of FOUND', (await mirror.found()).voted, VOTED.DONE);
      const last = await run(mirror, target);
      equals('The outcome of DISMISS', (await mirror.dismiss(last)).voted, VOTED.DONE);
    },
    { needs: ['witness', ...more] },
  );
}
