// The configuration that the daemon follows now, since when, and the client's interfaces as this machine has them. Invariant: a
// configured address that the machine has lost keeps its last known subnet (local-interfaces.ts).

import { isDeepStrictEqual } from 'node:util';
import type { RscltConfig } from '@rsio/common/config/schema/types';
import type { Clock } from '@rsio/base/lib/clock';
import type { MachineInterface } from '@rsio/protocol/explorer/interfaces';
import { localInterfaces } from './local-interfaces.ts';
import type { NamespaceSetup } from './namespace.ts';
import type { LocalInterface } from './route-plan.ts';

export class CurrentConfig {
  private readonly clock: Pick<Clock, 'wallMs'>;
  private readonly machine: () => readonly MachineInterface[];
  private readonly relog: (config: RscltConfig) => void;
  private current: RscltConfig;
  private begunMs: number;
  private interfaces: readonly LocalInterface[];

  /** `machine`: returns the interfaces of this machine. `relog`: applies the log settings of a configuration. */
  constructor(
    first: RscltConfig,
    clock: Pick<Clock, 'wallMs'>,
    machine: () => readonly MachineInterface[],
    relog: (config: RscltConfig) => void,
  ) {
    this.clock = clock;
    this.machine = machine;
    this.relog = relog;
    this.current = first;
    this.begunMs = clock.wallMs();
    this.interfaces = localInterfaces(first.interfaces, machine(), []);
  }

  get config(): RscltConfig {
    return this.current;
  }

  /** Wall-clock time at which the configuration came into force. */
  get sinceMs(): number {
    return this.begunMs;
  }

  get locals(): readonly LocalInterface[] {
    return this.interfaces;
  }

  /** The setups of the namespaces, in the order of the configuration. */
  get setups(): NamespaceSetup[] {
    return setupsOf(this.current, this.interfaces);
  }

  /** The setups that another configuration would have on this machine. */
  setupsOf(other: RscltConfig): NamespaceSetup[] {
    return setupsOf(other, this.localsOf(other));
  }

  /** Replaces the configuration, and applies its log settings. */
  begin(next: RscltConfig): void {
    this.current = next;
    this.relog(next);
    this.begunMs = this.clock.wallMs();
    this.interfaces = this.localsOf(next);
  }

  /** Looks at the interfaces of this machine. Returns true if the client's interfaces have changed. */
  lookAtMachine(): boolean {
    const interfaces = this.localsOf(this.current);
    if (isDeepStrictEqual(interfaces, this.interfaces)) return false;
    this.interfaces = interfaces;
    return true;
  }

  private localsOf(config: RscltConfig): LocalInterface[] {
    return localInterfaces(config.interfaces, this.machine(), this.interfaces);
  }
}

function setupsOf(whole: RscltConfig, locals: readonly LocalInterface[]): NamespaceSetup[] {
  return whole.namespaces.map((config) => ({ whole, config, locals }));
}
