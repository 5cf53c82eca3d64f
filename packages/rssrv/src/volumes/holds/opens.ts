// Answers the OPENs of sessions: finds the volume that the server serves to the client, lets holds.ts grant the OPEN, and records which
// volumes the session uses. The volume may change while an OPEN is in progress. Invariant: a grant describes the volume as served in the
// event-loop turn of the grant. Every later change therefore reaches the session after the grant. Rules: H1.

import { assert } from '@rsio/base/lib/assert';
import type { ClientRole } from '@rsio/common/config/schema/types';
import { type OpenRequest, TAKE } from '@rsio/protocol/wire/messages';
import { STATUS } from '@rsio/protocol/wire/status';
import type { ServedVolume } from '../../storage/io/served-volume.ts';
import type { Grant, ClientIdentity } from './grants.ts';
import type { GrantPorts, Holds } from './holds.ts';
import { OPEN_TRIES_MAX } from '../limits.ts';
import type { MirrorPromise } from './replica-opens.ts';
import type { VolumeUses } from './volume-uses.ts';

/** A session that uses a volume which another data process of the same client wants to open. */
export interface OtherUser {
  readonly dataProcess: number;
  readonly isEnding: boolean;
}

/** The session that sends an OPEN. */
export interface OpeningSession {
  readonly client: ClientIdentity;
  readonly dataProcess: number;
  readonly uses: VolumeUses;
  isEnding(): boolean;
  /** Resolves when the session begins to end; null if the caller does not report this. */
  readonly ending: Promise<void> | null;
  /** Returns the session of another data process of the client that has the volume open or is opening it, or null. */
  usedBeside(volumeId: string): OtherUser | null;
}

export interface OpensPorts extends Omit<GrantPorts, 'find' | 'isWanted' | 'role'> {
  /** Returns the volume of this name that the server serves to the node now, or null. */
  find(node: string, request: OpenRequest): ServedVolume | null;
  /** Returns the right of the node according to the configuration in force, or null if the file has no section [rights]. */
  role(node: string): ClientRole | null;
  /** Returns the answer to an OPEN for which `find` returns null. */
  notServed(node: string, request: OpenRequest): Grant;
}

export class Opens {
  private readonly holds: Pick<Holds, 'grant'>;
  private readonly ports: OpensPorts;

  constructor(holds: Pick<Holds, 'grant'>, ports: OpensPorts) {
    this.holds = holds;
    this.ports = ports;
  }

  /** Answers an OPEN. Throws E_SYSTEM if the hold cannot be saved. */
  async grant(session: OpeningSession, request: OpenRequest): Promise<Grant> {
    const { node } = session.client;
    for (let tries = OPEN_TRIES_MAX; tries > 0; tries--) {
      const volume = this.ports.find(node, request);
      if (volume === null) return this.ports.notServed(node, request);
      if (volume.follows !== undefined)
        return { granted: false, status: STATUS.VOLUME_UNAVAILABLE, sentence: volume.follows.why, holders: [] };
      // The check and the start of the OPEN happen in one event-loop turn, so that at most one of two OPENs of a client is granted.
      const other = session.usedBeside(volume.id);
      if (other !== null) return { granted: false, status: STATUS.BESIDE, sentence: openBeside(request.name, other), holders: [] };
      const grant = await this.grantOf(session, volume, request);
      // The volume was renamed or removed before the OPEN got its turn. By now, another volume may have the requested name. The name is
      // therefore looked up again.
      if (grant.granted || grant.status !== STATUS.UNKNOWN_VOLUME) return grant;
    }
    return { granted: false, status: STATUS.HELD, sentence: `Volume ${request.name} changes again and again: try again`, holders: [] };
  }

  private grantOf(session: OpeningSession, volume: ServedVolume, request: OpenRequest): Promise<Grant> {
    const { client, uses, ending } = session;
    const { id, name } = volume;
    const ports: GrantPorts = {
      ...this.ports,
      find: () => this.ports.find(client.node, request),
      isWanted: () => !session.isEnding(),
      role: () => this.ports.role(client.node),
      promiseOf: (mirror) => promiseFor(session, this.ports.promiseOf(mirror)),
    };
    uses.opens(id);
    const granting = this.holds
      .grant(id, client, request, ports)
      .then((grant) => {
        assert(!grant.granted || grant.volume.id === id, 'A grant is for another volume than its OPEN');
        if (grant.granted) uses.add(id);
        return grant;
      })
      .finally(() => uses.opened(id));
    // If this session ends, its end does not wait for the take-over, because the take-over depends on another client's worker.
    if (request.take === TAKE.NO || ending === null) return granting;
    const sentence = `The session ended before volume ${name} was taken over`;
    return Promise.race([granting, ending.then((): Grant => ({ granted: false, status: STATUS.SHUTTING_DOWN, sentence, holders: [] }))]);
  }
}

/** Returns the promise for this data process. A term that one data process has claimed is not promised to the others. */
function promiseFor({ client, dataProcess }: OpeningSession, known: MirrorPromise | null): MirrorPromise | null {
  const promise = known?.promise ?? null;
  if (known === null || promise === null || promise.node !== client.node || promise.instance !== client.instance) return known;
  return (known.dataProcess ?? 0) === dataProcess ? known : { ...known, promise: null };
}

function openBeside(name: string, { dataProcess, isEnding }: OtherUser): string {
  const process = dataProcess === 0 ? 'the main process' : `data process ${dataProcess}`;
  return `Volume ${name} is open in ${process} of this client${isEnding ? ', whose session is ending: try again' : ': detach it there first'}`;
}
