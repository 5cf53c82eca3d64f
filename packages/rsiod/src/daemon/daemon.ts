// The client daemon. Its objects are made in phases, and a phase gets only objects of earlier phases. Invariant: all parts are
// started and stopped in this file, in a fixed order.

import { type ControlServer, startControlServer } from '@rsio/common/control/control-server';
import { CONTROL_METHODS } from '@rsio/api/rsiod/methods';
import { flushAll } from '../attachments/final-flush.ts';
import { labelOf } from '../attachments/offers.ts';
import { newAttaching } from './attaching.ts';
import { newControl } from './control.ts';
import { type ClientDaemonOptions, newFoundation } from './foundation.ts';
import { newFrontends } from './frontends.ts';
import { unkept } from './reloads.ts';
import { newServers } from './servers.ts';
import { newVolumes } from './volumes.ts';
import { firstContact } from '../network/first-contact.ts';
import { unreachableServers, unreachedSections } from '../network/unreachable-servers.ts';
import { OWN_METHODS } from '../processes/messages.ts';

type Parts = ReturnType<typeof newParts>;

function newParts(options: ClientDaemonOptions) {
  const foundation = newFoundation(options);
  const servers = { ...foundation, ...newServers(options, foundation) };
  const volumes = { ...servers, ...newVolumes(options, servers) };
  const frontends = { ...volumes, ...newFrontends(options, volumes) };
  const attaching = { ...frontends, ...newAttaching(options, frontends) };
  const parts = { ...attaching, ...newControl(options, attaching) };
  const { namespaces, role, gateOffers } = parts;
  for (const signal of [namespaces.pathChanged, ...Object.values(namespaces.servers), role.dataReached, gateOffers.taken])
    signal.assertHeard();
  return parts;
}

export class ClientDaemon {
  readonly parts: Parts;
  private readonly options: ClientDaemonOptions;
  private control: ControlServer | null = null;

  constructor(options: ClientDaemonOptions) {
    this.options = options;
    this.parts = newParts(options);
  }

  /** Resolves when every path has been tried, the wanted volumes are attached and the sockets are open. Throws if a socket fails. */
  async start(): Promise<void> {
    const { clock, warn } = this.options;
    const { current, namespaces, watcher, role, record, attached, frontends, backups, metrics, ends, reloads } = this.parts;
    const { warning } = unkept(this.options, current.config);
    if (warning !== null) warn(warning);
    await Promise.all([attached.load(warn), backups.load(), role.load()]);
    await frontends.start();
    await this.listen();
    if (!role.isData) await metrics.follow(current.config);
    const started = role.processes?.start();
    watcher.start();
    namespaces.start();
    ends.state = 'running';
    reloads.begin();
    if (!role.isData) namespaces.list.flatMap(unreachedSections).forEach(warn);
    await firstContact(clock, namespaces);
    await started;
    await attached.attachAll(true);
    record.hasRestored = true;
    await attached.releaseUnknown();
    for (const one of record.awaited) warn(`${labelOf(one)} is not attached again yet: ${one.reason}`);
    // The main process tries the same paths, and warns about unreachable servers.
    if (role.isData) return;
    for (const { config, tried } of namespaces.list) unreachableServers(config.name, tried).forEach(warn);
  }

  /** Opens the control socket, which a data process does not have. */
  private async listen(): Promise<void> {
    const { paths, log } = this.options;
    const { role, frontends, mirrorMoments, mirrorHealing, handlers } = this.parts;
    mirrorMoments.start();
    mirrorHealing.start();
    if (role.isData) return;
    try {
      this.control = await startControlServer(paths.controlSocket, CONTROL_METHODS, handlers, log);
    } catch (error) {
      await frontends.close();
      throw error;
    }
  }

  /**
   * Called before another process replaces this one. Stops taking requests, completes the requests in flight, and flushes as many volumes
   * as possible within HAND_OVER_WAIT_MS. Requests that are still incomplete are executed again by the next process. Nothing is detached.
   */
  async handOver(): Promise<void> {
    const { clock, log } = this.options;
    const { snapshots, role, mirrorMoments, mirrorHealing, attached, watcher, frontends, volumes } = this.parts;
    await snapshots.stop();
    await role.processes?.end(OWN_METHODS.handOver, '');
    mirrorMoments.stop();
    mirrorHealing.stop();
    attached.stop();
    watcher.stop();
    await frontends.handOver();
    await flushAll(volumes.list, clock, log);
    await this.control?.close();
  }

  /** Detaches volumes and closes paths and sockets. Stopping takes a bounded time even if servers do not answer. */
  async stop(reason: string): Promise<void> {
    const { ends, snapshots, role, mirrorMoments, mirrorHealing, attached, attachments, watcher, frontends, namespaces, metrics } =
      this.parts;
    ends.state = 'ending';
    await snapshots.stop();
    await role.processes?.end(OWN_METHODS.end, reason);
    mirrorMoments.stop();
    mirrorHealing.stop();
    attached.stop();
    watcher.stop();
    await frontends.close();
    const left = frontends.releaseLeft('rsiod ends', () => false);
    await Promise.all([attachments.stop(), left]);
    await frontends.stop();
    namespaces.stop(reason);
    await this.control?.close();
    await metrics.close();
  }
}
