// The command line of rsio-csi. Pure.
// Invariant: manifests, manual page and program name the same options; tests compare them.

import { daemonPaths } from '@rsio/common/config/root-paths';
import { RsError } from '@rsio/base/lib/errors';
import { parseEndpoint, parseName } from '@rsio/base/lib/units';
import type { MetricsAddress } from '@rsio/common/metrics/metrics-server';

export const CSI_HELP = `usage: rsio-csi --controller|--node --socket PATH [--namespace NAME]
       [--rsiod PATH] [--state DIR] [--metrics ADDRESS:PORT] [--root DIR]

Offers volumes of RSIO to Kubernetes and other orchestrators (CSI). Stays in
the foreground, logs to stderr, and asks rsiod for everything.

  --controller      offer the services of the controller: create, publish, list
  --node            offer the services of a node: attach, mount, grow
  --socket PATH     Unix socket for the orchestrator
  --namespace NAME  namespace of RSIO; needed if rsiod has several
  --rsiod PATH      control socket of rsiod (default /run/rsio/rsiod/control)
  --state DIR       with --node: folder for the state of staged volumes
                    (default /var/lib/rsio/csi)
  --metrics ADDRESS:PORT
                    offer metrics to Prometheus
`;

export const CSI_OPTIONS = {
  controller: { type: 'boolean' },
  node: { type: 'boolean' },
  socket: { type: 'string' },
  namespace: { type: 'string' },
  rsiod: { type: 'string' },
  state: { type: 'string' },
  metrics: { type: 'string' },
} as const;

type Given = { readonly [K in keyof typeof CSI_OPTIONS]?: (typeof CSI_OPTIONS)[K]['type'] extends 'boolean' ? boolean : string };

export interface Setup {
  readonly mode: 'controller' | 'node';
  readonly socket: string;
  readonly namespace: string | null;
  readonly rsiod: string;
  readonly state: string;
  readonly metrics: MetricsAddress | null;
}

/** Throws E_USAGE. */
export function setupOf(given: Given, root: string): Setup {
  const usage = (sentence: string): RsError => new RsError('E_USAGE', `${sentence}: see rsio-csi --help`);
  const { controller = false, node = false, socket = '' } = given;
  if (controller === node) throw usage('Give one of --controller and --node');
  if (socket === '') throw usage('Option --socket is missing');
  if (given.state !== undefined && controller) throw usage('Option --state is for --node');
  const rsiod = daemonPaths(root, 'rsiod');
  return {
    mode: controller ? 'controller' : 'node',
    socket,
    namespace: given.namespace === undefined ? null : parseName(given.namespace, '--namespace'),
    rsiod: given.rsiod ?? rsiod.controlSocket,
    state: given.state ?? `${rsiod.root}/var/lib/rsio/csi`,
    metrics: given.metrics === undefined ? null : metricsOf(given.metrics, usage),
  };
}

function metricsOf(text: string, usage: (sentence: string) => RsError): MetricsAddress {
  const { address, port } = parseEndpoint(text);
  if (port === null) throw usage('Option --metrics has no port');
  return { address, port, token: null };
}
