// The namespaces of the configuration. A namespace tells here what happens at its servers; attaching.ts hears it. Invariant: a namespace
// whose login is the same in a new configuration is changed in place, so that its paths, sessions and volumes stay.

import { Signal } from '@rsio/base/lib/signal';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { Identity } from '@rsio/protocol/client-identity';
import { STATUS } from '@rsio/protocol/wire/status';
import type { InterfaceEvent } from '../sys/interface-table.ts';
import type { CurrentConfig } from './current-config.ts';
import { isSameLogin, Namespace, type NamespacePorts, type NamespaceSetup } from './namespace.ts';
import type { ServerEvents } from './server.ts';

type ServerSignals = { readonly [Name in keyof ServerEvents]: Signal<Parameters<ServerEvents[Name]>> };

/** A server that a configuration would make unreachable, although volumes of it are attached. */
export interface LostServer {
  readonly namespace: string;
  readonly server: string;
}

export class Namespaces {
  readonly pathChanged = new Signal<Parameters<NamespacePorts['pathChanged']>>('a path has changed');
  readonly servers: ServerSignals = {
    sessionBegan: new Signal('a session has begun'),
    opened: new Signal('a server has opened a volume'),
    openFailed: new Signal('a server has refused a volume'),
    openWaits: new Signal('a volume waits for its server'),
    listed: new Signal('a server has listed its volumes'),
    grown: new Signal('a volume has grown'),
  };
  private readonly current: Pick<CurrentConfig, 'setups' | 'setupsOf'>;
  private readonly identity: Identity;
  private readonly ports: NamespacePorts;
  private namespaces: readonly Namespace[];

  constructor(
    current: Pick<CurrentConfig, 'setups' | 'setupsOf'>,
    identity: Identity,
    ports: Omit<NamespacePorts, 'events' | 'pathChanged' | 'serverCount'>,
  ) {
    const { sessionBegan, opened, openFailed, openWaits, listed, grown } = this.servers;
    this.current = current;
    this.identity = identity;
    this.ports = {
      ...ports,
      pathChanged: this.pathChanged.send,
      serverCount: () => this.list.reduce((sum, { provedServers }) => sum + provedServers, 0),
      events: {
        sessionBegan: sessionBegan.send,
        opened: opened.send,
        openFailed: openFailed.send,
        openWaits: openWaits.send,
        listed: listed.send,
        grown: grown.send,
      },
    };
    this.namespaces = current.setups.map((setup) => this.made(setup));
  }

  get list(): readonly Namespace[] {
    return this.namespaces;
  }

  start(): void {
    for (const namespace of this.namespaces) namespace.start();
  }

  stop(reason: string): void {
    for (const namespace of this.namespaces) namespace.stop(STATUS.IO_ERROR, reason);
  }

  /** Follows the configuration after it has changed. */
  follow(): void {
    const { setups } = this.current;
    const before = this.namespaces;
    const known = (setup: NamespaceSetup): Namespace | undefined => before.find(({ config }) => isSameLogin(config, setup.config));
    this.namespaces = setups.map((setup) => known(setup) ?? this.made(setup));
    for (const namespace of before)
      if (!this.namespaces.includes(namespace)) namespace.stop(STATUS.IO_ERROR, 'The namespace was removed from the configuration');
    for (const [index, namespace] of this.namespaces.entries()) {
      if (before.includes(namespace)) namespace.change(setups[index]!);
      else namespace.start();
    }
  }

  /** Follows the client's interfaces after they have changed. */
  followInterfaces(): void {
    for (const [index, setup] of this.current.setups.entries()) this.namespaces[index]?.change(setup);
  }

  interfaceChanged(event: InterfaceEvent): void {
    for (const namespace of this.namespaces) namespace.interfaceChanged(event);
  }

  /** Returns the servers with volumes of this process that the next configuration would make unreachable. */
  lostBy(next: RscltConfig): LostServer[] {
    const setups = this.current.setupsOf(next);
    return this.namespaces.flatMap((namespace) => {
      const setup = setups.find(({ config }) => isSameLogin(namespace.config, config));
      const lost = setup === undefined ? [] : namespace.lostBy(setup);
      return lost.map((server) => ({ namespace: namespace.config.name, server: server.name }));
    });
  }

  private made(setup: NamespaceSetup): Namespace {
    return new Namespace(setup, this.identity, this.ports);
  }
}
