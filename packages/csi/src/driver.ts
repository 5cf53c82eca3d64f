// The driver: connects rsiod, the services of one mode, the gRPC server and the metrics. The servers keep the state, so that calls that
// were killed leave nothing behind that only the driver knows. Invariant: the driver keeps no volume, no path and no device, so that its
// end and its replacement touch no I/O.

import { sleep } from '@rsio/base/lib/waiting';
import { callControl, holdControl } from '@rsio/api/rsiod/call-rsiod';
import type { Clock } from '@rsio/base/lib/clock';
import type { Log } from '@rsio/base/log/log';
import { controllerServices } from './controller/controller-service.ts';
import { identityService } from './identity.ts';
import { CsiMetrics } from './metrics.ts';
import { systemHost } from './node/host.ts';
import { nodeService } from './node/node-service.ts';
import { RecordFiles } from './node/records.ts';
import type { Setup } from './options.ts';
import type { RsiodCall, RsiodHold } from './product/orders.ts';
import { Calls } from './rpc/calls.ts';
import { RpcServer } from './rpc/rpc-server.ts';

export interface DriverPorts {
  readonly clock: Clock;
  readonly log: Log;
}

export class Driver {
  private readonly setup: Setup;
  private readonly ports: DriverPorts;
  private readonly metrics: CsiMetrics;
  private readonly server: RpcServer;

  constructor(setup: Setup, ports: DriverPorts) {
    const { clock, log } = ports;
    [this.setup, this.ports] = [setup, ports];
    const rsiod: RsiodCall = (method, params) => callControl(setup.rsiod, method, params, { clock });
    const hold: RsiodHold = (params) => holdControl(setup.rsiod, 'order-attach', params, { clock });
    const records = new RecordFiles(setup.state, log);
    const calls: Calls = new Calls({ clock, log, ended: (method, status, tookMs) => this.metrics.ended(method, status, tookMs) });
    this.metrics = new CsiMetrics({
      clock,
      log,
      isReady: () =>
        rsiod('daemon', {}).then(
          () => true,
          () => false,
        ),
      callsInProgress: () => calls.inProgress,
      staged: async () => (setup.mode === 'node' ? records.count() : null),
    });
    const parts = { clock, calls, rsiod, namespace: setup.namespace };
    const services =
      setup.mode === 'controller'
        ? controllerServices({ ...parts, hold, newId: () => crypto.randomUUID() })
        : { Node: nodeService({ ...parts, host: systemHost, records }) };
    this.server = new RpcServer(setup.socket, calls, { Identity: identityService(rsiod, log), ...services });
  }

  /** Throws E_SOCKET_PATH, E_RIGHTS, E_SYSTEM or E_ALREADY_RUNNING. */
  async start(): Promise<void> {
    await this.server.listen();
    await this.metrics.listen(this.setup.metrics);
    this.ports.log.info(`Up: ${this.setup.mode} on ${this.setup.socket}`);
  }

  async stop(): Promise<void> {
    await this.server.close((ms) => sleep(this.ports.clock, ms));
    await this.metrics.close();
  }
}
