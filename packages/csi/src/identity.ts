// The service Identity: the name of the driver, what it can do, and whether rsiod answers it. Invariant: the capabilities name exactly the
// services that the program offers in its mode.

import { programVersion } from '@rsio/base/lib/version';
import type { RsiodCall } from './product/orders.ts';
import type { Service } from './rpc/rpc-server.ts';
import { toCsiError } from './rpc/status.ts';
import type { Log } from '@rsio/base/log/log';

export const DRIVER_NAME = 'rsio.csi';

const SERVICES = [
  'CONTROLLER_SERVICE',
  'VOLUME_ACCESSIBILITY_CONSTRAINTS',
  'GROUP_CONTROLLER_SERVICE',
  'SNAPSHOT_METADATA_SERVICE',
] as const;

export function identityService(rsiod: RsiodCall, log: Pick<Log, 'warn'>): Service {
  const capabilities = [...SERVICES.map((type) => ({ service: { type } })), { volumeExpansion: { type: 'ONLINE' } }];
  return {
    handlers: {
      GetPluginInfo: async () => ({ name: DRIVER_NAME, vendorVersion: programVersion(), manifest: {} }),
      GetPluginCapabilities: async () => ({ capabilities }),
      Probe: async () => {
        try {
          await rsiod('daemon', {});
          return { ready: { value: true } };
        } catch (thrown) {
          log.warn(`Not ready: ${toCsiError(thrown).message}`);
          return { ready: { value: false } };
        }
      },
    },
  };
}
