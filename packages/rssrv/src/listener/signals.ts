// What the early objects of the listener tell or ask the later ones. Each signal has exactly one listener, which a later phase adds when it
// is built; the start asserts that none is missing. Invariant: this is the only way from an object to a later one.

import type { LocalGroups, RssrvConfig } from '@rsio/common/config/schema/types';
import type { RsError } from '@rsio/base/lib/errors';
import { Signal } from '@rsio/base/lib/signal';
import type { GroupSocketChange } from '../admin/group-socket.ts';
import type { ServedSession } from '../server/served-session.ts';
import type { ListenerAnswer, SessionRequest } from '../session/channel/channel.ts';

export function newSignals() {
  return {
    // --- Asked by the holders and the pools
    /** Executes a change of the ledger of an open pool, with a time limit. Throws E_POOL or E_TIMEOUT. */
    ledgerChange: new Signal<[poolId: string, work: () => Promise<void>], Promise<void>>('a ledger is changed'),
    /** A pool of another server is in force. Its holders may connect here, and the clients `fenced` are now fenced. */
    holdersCame: new Signal<[fenced: readonly string[]]>('a pool with the holders of another server is in force'),
    spaceMeasured: new Signal('the free space of the pools was measured'),
    poolAnswers: new Signal<[name: string]>('the file system of a pool answers again'),
    /** See FarmsPorts. */
    poolCame: new Signal<[name: string], Promise<void>>('this server owns a shared pool'),
    poolLeaves: new Signal<[name: string, isLost: boolean, why: string], Promise<void>>('this server gives up a shared pool'),
    poolLoad: new Signal<[name: string], number>('the load of a shared pool'),

    // --- Told by the volumes
    /** See VolumePorts. */
    syncFailedLate: new Signal<[volumeId: string]>('a sync of a volume failed after its time limit'),
    volumesUnmarked: new Signal<[keys: ReadonlySet<string>], Promise<void>>('the workers of other listeners have closed volumes'),
    listAnnounced: new Signal('a changed list of volumes was announced'),

    // --- Asked and told by the sessions and the peers
    request: new Signal<[session: ServedSession, request: SessionRequest], Promise<ListenerAnswer>>('a session asks the listener'),
    sessionEnded: new Signal<[id: string]>('a session has ended'),
    peerConnected: new Signal('a peer is connected'),
    addressCame: new Signal('the address of an interface exists now'),

    // --- Asked and told by the configuration in force
    reloaded: new Signal<[by: string, applied: readonly string[], error: RsError | null]>('a reload has ended that nobody waits for'),
    groups: new Signal<[groups: LocalGroups], Promise<GroupSocketChange>>('the groups get control sockets'),
    metrics: new Signal<[config: RssrvConfig], Promise<void>>('the metrics follow the configuration'),
  };
}
