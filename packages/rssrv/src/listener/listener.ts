// The listener process listens on every interface, authenticates each connection, and passes the connection to the worker of its session.
// The listener owns everything that sessions share: volumes, ids, holds and incarnations. The listener never reads or writes the data of
// volumes. Invariants: the listener serves nothing before the workers of an earlier listener have exited (S10); it serves nothing after
// `stop`. Rules: V1.

// Design. The objects are made in phases, one file each: foundation, holders, storage, content, clients, front, administration. A phase gets
// the objects of earlier phases only, so that no object refers to a later one. An early object tells or asks a later one through a signal
// (signals.ts). scripts/phases.mjs checks these rules.

import { plural } from '@rsio/base/lib/units';
import { CHANGE_STOP_WAIT_MS } from '../admin/limits.ts';
import { addressMissingText } from '../server/listening-sockets.ts';
import { newAdministration } from './administration.ts';
import { newClients } from './clients.ts';
import { newContent } from './content.ts';
import { newFoundation, type ListenerOptions } from './foundation.ts';
import { newFront } from './front.ts';
import { newHolders } from './holders.ts';
import { newStorage } from './storage.ts';

/** Makes the objects of the listener, phase by phase. */
function newObjects(options: ListenerOptions) {
  const foundation = newFoundation(options);
  const holders = { ...foundation, ...newHolders(foundation) };
  const storage = { ...holders, ...newStorage(holders) };
  const content = { ...storage, ...newContent(storage) };
  const clients = { ...content, ...newClients(content) };
  const front = { ...clients, ...newFront(clients) };
  return { ...front, ...newAdministration(front) };
}

export class Listener {
  private readonly objects: ReturnType<typeof newObjects>;
  /** Prints a message for the administrator who starts the daemon. */
  private readonly print: (sentence: string) => void;

  constructor(options: ListenerOptions) {
    this.objects = newObjects(options);
    this.print = options.warn;
  }

  /**
   * Resolves when the server listens on every interface whose address exists. If the server cannot start, throws, and leaves nothing open.
   */
  async start(): Promise<void> {
    const { clock, log, signals, records, current, holds, fences, halts, voters, volumes, bandwidth, farms, peers } = this.objects;
    const { sockets, rights, workers, inForce, reloader, administration, explore } = this.objects;
    const { print } = this;
    const warn = (sentence: string): void => {
      log.warn(sentence);
      print(`Warning: ${sentence}`);
    };
    for (const signal of Object.values(signals)) signal.assertHeard();
    await records.endOldWorkers(clock, log);
    for (const state of [holds, fences, halts, voters, administration]) await state.load();
    await inForce.openPools().finally(() => records.firstStartEnded());
    const { config } = current;
    holds.keepNodes(config.clients.map(({ name }) => name));
    await volumes.open(config);
    bandwidth.refresh();
    for (const trouble of administration.troubles) warn(trouble);
    for (const { error } of volumes.failures) print(`${error.message} [${error.code}]`);
    try {
      for (const problem of await sockets.open(config.interfaces)) warn(addressMissingText(problem));
      await administration.start();
    } catch (error) {
      await this.stop('The server could not start');
      throw error;
    }
    rights.choose(current.config.server);
    workers.fill();
    await explore(config, warn);
    reloader.begin();
    const listening = sockets.listening(config.interfaces).map(({ address, port }) => `${address}/${port}`);
    farms.follow(config.pools);
    peers.follow(current.config.peers);
    log.info(`Server ${config.server.name} serves ${plural(volumes.served.length, 'volume')} on ${listening.join(', ')}`);
  }

  /** Stops admitting clients, answers requests in progress, flushes, and ends all workers. */
  async stop(sentence: string): Promise<void> {
    const { clock, changes, limitedLog, records, volumes, lists, bandwidth, moments, shared, farms, peers } = this.objects;
    const { sockets, unproven, probes, discovery, admissions, workers, reloader, administration } = this.objects;
    reloader.end();
    farms.stop();
    await peers.stop();
    sockets.closeAll();
    unproven.close({ code: 'E_SHUTTING_DOWN', sentence });
    moments.stop();
    bandwidth.close();
    await administration.stop();
    await changes.idle(clock, CHANGE_STOP_WAIT_MS);
    probes.close('E_SHUTTING_DOWN', sentence);
    discovery.close();
    await admissions.close('E_SHUTTING_DOWN', sentence);
    await workers.stop();
    limitedLog.close();
    lists.close();
    const clean = await shared.settled();
    await volumes.close();
    await administration.close();
    // Save records that name no workers, so that the next listener knows that this listener exited cleanly.
    await farms.close(clean);
    await records.saved();
  }

  /** Called on SIGHUP. Reopens the logs at once; reads the configuration as soon as the server is up. */
  reload(): void {
    this.objects.logs.reopen();
    this.objects.reloader.askLater('SIGHUP');
  }
}
